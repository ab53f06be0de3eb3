import { readFile } from "node:fs/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { lostSecretFile } from "../base/secret-files.ts";
import type { ClientTls, Reached } from "./elsewhere.ts";
import type { SessionRights } from "./session-settings.ts";

/**
 * What a session of the stack's role may set. On a server that Amazon runs nobody else is a superuser either, so the agent does
 * everything there with the rights of an ordinary role that owns the database and may make others.
 */
export function rightsOf({ elsewhere, managed }: Reached): SessionRights {
  return elsewhere?.rights ?? (managed ? "ordinary" : "superuser");
}

/** What node-postgres takes: TLS alone, and a certificate for this name from Amazon's authorities. Nothing for the stack's own. */
export async function managedTls({ managed }: AgentSettings): Promise<{ ssl?: ClientTls }> {
  if (managed === null) return {};
  const ca = await readFile(managed.rootFile, "utf8").catch(() => {
    throw lostSecretFile(managed.rootFile) ?? new Error(`${managed.rootFile} cannot be read`);
  });
  return { ssl: { rejectUnauthorized: true, ca } };
}

/** The same for psql, pg_dump and pg_restore. */
export function managedProgramTls({ managed }: AgentSettings): NodeJS.ProcessEnv {
  return managed === null ? {} : { PGSSLMODE: "verify-full", PGSSLROOTCERT: managed.rootFile };
}

/** Says why a server of Amazon's could not be reached, and what helps. */
export function unreachableManaged(
  { host, port, user }: Pick<AgentSettings, "host" | "port" | "user">,
  database: string,
  { code, message }: { code?: string; message: string },
): Stop {
  return new Stop(
    EXIT.databaseUnreachable,
    `The database ${database} at ${host}:${port} cannot be reached: ${message.replace(/\.$/, "")}.`,
    whatHelps(code, message, user),
  );
}

function whatHelps(code: string | undefined, message: string, user: string): string {
  if (code === "28P01")
    return `The password of ${user} is another one there. \`npm run pulumi -- up\` sets it again.`;
  if (/certificate|altname|CERT/i.test(`${code} ${message}`))
    return "The certificates in budgie:databaseCertificates are not those that the server's comes from, or are too old. Download them anew (docs/managed-database.md), then: npm run pulumi -- up";
  if (/no encryption|pg_hba/.test(message)) return "The server lets this machine in over TLS alone.";
  if (code === "53300")
    return "Others have taken every connection. Who: the performance pages of Amazon's console; a larger budgie:databaseInstanceClass has more.";
  return "Look in Amazon's console whether it is available, and whether one of budgie:databaseSecurityGroups lets the container engine's machine in to its port.";
}
