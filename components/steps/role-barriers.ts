import type Docker from "dockerode";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";

/** What somebody has set on the stack's role that can keep it out. `up` takes it back. */
export interface RoleBarriers {
  noLogin: boolean;
  expired: string | null;
  limit: number | null;
}

/** Asked over the container's socket, where no password is needed. Null when it cannot be asked. */
export async function readBarriers(
  container: Docker.Container,
  { user, database }: { user: string; database: string },
): Promise<RoleBarriers | null> {
  const answer = await psqlIfRunning(container, [
    "-XAtq",
    "-U",
    user,
    "-d",
    database,
    "-c",
    `SELECT json_build_object('expired', CASE WHEN rolvaliduntil <= now() THEN rolvaliduntil::text END,
                              'limit', nullif(rolconnlimit, -1)) FROM pg_roles WHERE rolname = '${user}'`,
  ]);
  // Nobody is told more of a role that may not log in.
  if (answer && mayNotLogIn(answer.stderr)) return { noLogin: true, expired: null, limit: null };
  if (answer?.code !== 0) return null;
  try {
    return { noLogin: false, ...(JSON.parse(answer.stdout) as Omit<RoleBarriers, "noLogin">) };
  } catch {
    return null;
  }
}

/** One sentence for each. */
export function describeBarriers(user: string, { noLogin, expired, limit }: RoleBarriers): string[] {
  return [
    ...(noLogin ? [`Somebody took the right to log in from ${user} (NOLOGIN).`] : []),
    ...(expired === null ? [] : [`The password of ${user} was good until ${expired} (VALID UNTIL).`]),
    ...(limit === null ? [] : [`${user} may have no more than ${limit} connections (CONNECTION LIMIT).`]),
  ];
}

/** Whether psql was not let in for this reason. */
export function mayNotLogIn(errors: string): boolean {
  return errors.includes("is not permitted to log in");
}
