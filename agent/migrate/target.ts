import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { type PostgresTarget, postgresTarget, shownTarget } from "../../shared/postgres-target.ts";
import { parseRecord } from "../base/json-record.ts";
import { keepSecret, takeSecret } from "../base/kept-secret.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { type Reached, withRoots } from "../server/elsewhere.ts";
import type { SessionRights } from "../server/session-settings.ts";

/** A database on another server, to which this stack's is moved. */
export interface Target {
  /** `db.example.com:5432/budgie_production` */
  shown: string;
  /** The stack's settings, but for the server, the role and the database. */
  settings: Reached;
}

/** Keeps a target for the next command, because a password is in it. Returns where it is. */
export async function keepTarget(input: Readable): Promise<string> {
  return keepSecret("target", await text(input));
}

/** Runs `work` with the target that was kept. Throws a Stop where it is not there, or does not answer. */
export async function withTarget<T>(
  settings: AgentSettings,
  path: string,
  work: (target: Target) => Promise<T>,
): Promise<T> {
  const kept = await takeSecret("target", path);
  const parsed = kept === null ? null : parseRecord(postgresTarget, kept);
  if (!parsed?.found)
    throw new Stop(
      EXIT.usage,
      `There is no target at ${path}; it serves one command.`,
      "Use `npx budgie migrate --to postgres://…`, which gives the agent a target for this one command.",
    );
  const { record } = parsed;
  return withRoots(record.sslMode, record.rootCertificate, async roots => {
    const reached = (rights: SessionRights) => reach(settings, record, { ...roots, rights });
    const rights = await rightsThere(reached("ordinary"));
    return work({ shown: shownTarget(record), settings: reached(rights) });
  });
}

function reach(
  settings: AgentSettings,
  { host, port, user, database, password, sslMode }: PostgresTarget,
  how: { root: string | null; rootFile: string | null; rights: SessionRights },
): Reached {
  return { ...settings, host, port, user, database, managed: null, elsewhere: { password, sslMode, ...how } };
}

async function rightsThere(settings: Reached): Promise<SessionRights> {
  const session = await connectToMaintenance(settings, "budgie migrate");
  try {
    const { rows } = await session.query<{ superuser: boolean }>(
      "SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user",
    );
    return rows[0]?.superuser ? "superuser" : "ordinary";
  } finally {
    await session.end();
  }
}
