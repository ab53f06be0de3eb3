import { join } from "node:path";
import { rootCertificates } from "node:tls";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { SslMode } from "../../shared/postgres-target.ts";
import { withMemoryFolder } from "../base/memory-folder.ts";
import { NOBODY } from "./nobody.ts";
import type { SessionRights } from "./session-settings.ts";

/** What it takes to reach another server than the stack's own. */
export interface Elsewhere {
  /** null: the one that the agent has for the stack's own server. */
  password: string | null;
  rights: SessionRights;
  sslMode: SslMode;
  /** A file with the certificates that the server's own must come from; null where nothing is checked. */
  rootFile: string | null;
  /** What is in it. */
  root: string | null;
  /** What the agent proves itself with. @default nothing but the password */
  client?: ClientCertificate;
}

/** In PEM, and as files that psql, pg_dump and pg_restore can read. */
export interface ClientCertificate {
  certificate: string;
  key: string;
  certificateFile: string;
  keyFile: string;
}

/** Settings whose server may be another one. */
export type Reached = AgentSettings & { elsewhere?: Elsewhere };

/** What node-postgres takes for `ssl`. */
export type ClientTls =
  | false
  | {
      rejectUnauthorized: boolean;
      ca?: string;
      cert?: string;
      key?: string;
      checkServerIdentity?: () => undefined;
    };

/** Means what libpq means by the mode. */
export function clientTls({ sslMode, root, client }: Elsewhere): ClientTls {
  if (sslMode === "disable") return false;
  if (root === null) return { rejectUnauthorized: false };
  const own = client ? { cert: client.certificate, key: client.key } : {};
  const checked = { rejectUnauthorized: true, ca: root, ...own };
  return sslMode === "verify-full" ? checked : { ...checked, checkServerIdentity: () => undefined };
}

/** The same for psql, pg_dump and pg_restore. */
export function programTls({ sslMode, rootFile, client }: Elsewhere): NodeJS.ProcessEnv {
  // Without this libpq would look for certificates in a home that is not theirs.
  return {
    PGSSLMODE: sslMode,
    ...(rootFile === null ? {} : { PGSSLROOTCERT: rootFile }),
    ...(client ? { PGSSLCERT: client.certificateFile, PGSSLKEY: client.keyFile } : {}),
  };
}

/**
 * Runs `work` with the certificates that a server's own must come from, as text and as a file that psql, pg_dump and pg_restore can
 * read. Where none were named, they are those that Node brings along: of the public authorities.
 */
export async function withRoots<T>(
  mode: SslMode,
  named: string | null,
  work: (roots: Pick<Elsewhere, "root" | "rootFile">) => Promise<T>,
): Promise<T> {
  if (mode !== "verify-ca" && mode !== "verify-full") return work({ root: null, rootFile: null });
  const root = named ?? rootCertificates.join("\n");
  return withMemoryFolder(NOBODY, { roots: root }, folder => work({ root, rootFile: join(folder, "roots") }));
}

/** Says why another server could not be reached, and what helps. */
export function unreachableElsewhere(
  { host, port, user }: Pick<AgentSettings, "host" | "port" | "user">,
  database: string,
  error: unknown,
): Stop {
  const { code, message } = innermost(error);
  return new Stop(
    EXIT.databaseUnreachable,
    `The database ${database} at ${host}:${port} cannot be reached: ${message.replace(/\.$/, "")}.`,
    whatHelps(code, message, user, database),
  );
}

function innermost(error: unknown): { code?: string; message: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  return error instanceof Error ? error : { message: String(error) };
}

function whatHelps(code: string | undefined, message: string, user: string, database: string): string {
  if (code === "28P01")
    return `Check the password of ${user} there: it is taken from PGPASSWORD, from the file at PGPASSFILE or ~/.pgpass, or asked for.`;
  if (code === "3D000") return `Make it there first: CREATE DATABASE ${database};`;
  if (/does not support SSL/i.test(message))
    return "Have that server speak TLS (ssl = on). If nobody else is on the way to it, say so: ?sslmode=disable";
  if (/certificate|altname|CERT/i.test(`${code} ${message}`))
    return "Name the certificate that the server's own comes from (?sslrootcert=FILE), and the host as the certificate names it.";
  if (code === "28000") return "That server's rules (pg_hba.conf) must let this machine in.";
  return "Check host and port, and that the server listens there and lets this machine in. The backup agent must reach it from its container.";
}
