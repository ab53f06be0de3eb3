import { readFile } from "node:fs/promises";
import pgpass from "pgpass";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { type PostgresTarget, postgresTarget, SSL_MODES } from "../../shared/postgres-target.ts";
import { askForSecret, isTerminal } from "../terminal/ask.ts";

/** Everything but the password. */
export type TargetAddress = Omit<PostgresTarget, "password" | "rootCertificate"> & {
  /** A file on this machine. */
  rootFile: string | null;
};

const FORM = "postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full";
/** For a container, each of these is the container itself. */
const OWN_MACHINE = /^(localhost|127\.|\[?::1\]?$)/i;

/** Takes `--to postgres://…` apart. Throws a Stop for what is none, for a password in it, and for what leaves TLS to chance. */
export function parseTarget(typed: string): TargetAddress {
  const url = URL.canParse(typed) ? new URL(typed) : null;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol))
    throw usage(`--to names no PostgreSQL database.`, `Like this: npx budgie migrate --to ${FORM}`);
  if (url.password !== "")
    throw usage(
      "The password stands in the command, where everybody on this machine can read it, and the shell keeps it.",
      "Leave it out. It is taken from PGPASSWORD, from the file at PGPASSFILE or ~/.pgpass, or asked for. And change it: it may have been seen.",
    );
  if (OWN_MACHINE.test(url.hostname))
    throw usage(
      `${url.hostname} is, for the backup agent in its container, the container itself.`,
      "Name this machine by an address that its containers reach, such as the one that it has in your network.",
    );
  const sslMode = url.searchParams.get("sslmode") ?? "require";
  requireKnown(url, sslMode);
  const parsed = postgresTarget.omit({ password: true, rootCertificate: true }).safeParse({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    sslMode,
  });
  if (parsed.success) return { ...parsed.data, rootFile: url.searchParams.get("sslrootcert") };
  const what = parsed.error.issues.map(issue => issue.path.join(".")).join(", ");
  throw usage(`--to does not say a usable ${what}.`, `Like this: npx budgie migrate --to ${FORM}`);
}

function requireKnown(url: URL, sslMode: string): void {
  const unknown = [...url.searchParams.keys()].filter(key => key !== "sslmode" && key !== "sslrootcert");
  if (unknown.length > 0)
    throw usage(`--to does not know ${unknown.join(", ")}.`, "It knows sslmode and sslrootcert.");
  if (SSL_MODES.some(mode => mode === sslMode)) return;
  throw usage(
    `sslmode=${sslMode} leaves it to chance whether the ledger and its password go over the network readable.`,
    `Say one of: ${SSL_MODES.join(", ")}`,
  );
}

/** What an operator must know of the way there; null where the server has proven who it is. */
export function wayWarning({ host, sslMode }: TargetAddress): string | null {
  if (sslMode === "disable")
    return `Nothing is encrypted on the way to ${host}: whoever is on it reads the ledger`;
  if (sslMode === "require")
    return `The way to ${host} is encrypted, but nobody checks that it is ${host}: sslmode=verify-full does`;
  return null;
}

/** With the password, wherever it is, and the certificate. Throws a Stop for a file that cannot be read. */
export async function completeTarget(
  { rootFile, ...address }: TargetAddress,
  environment: NodeJS.ProcessEnv,
): Promise<PostgresTarget> {
  const rootCertificate = rootFile === null ? null : await readRoot(rootFile);
  return { ...address, rootCertificate, password: await passwordOf(address, environment) };
}

async function passwordOf(
  { host, port, user, database }: Omit<TargetAddress, "rootFile">,
  { PGPASSWORD: given }: NodeJS.ProcessEnv,
): Promise<string> {
  if (given !== undefined) return given;
  const kept = await new Promise<string | undefined>(resolve =>
    pgpass({ host, port, user, database }, resolve),
  );
  if (kept !== undefined) return kept;
  if (isTerminal()) return askForSecret(`Password of ${user} at ${host}:${port}`);
  throw usage(
    `There is no password for ${user} at ${host}:${port}.`,
    `Put a line ${host}:${port}:${database}:${user}:PASSWORD into ~/.pgpass (mode 0600) or the file at PGPASSFILE, or set PGPASSWORD.`,
  );
}

function readRoot(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: Error) => {
    throw usage(
      `The certificate ${path} cannot be read: ${error.message}.`,
      "Name a PEM file: ?sslrootcert=FILE",
    );
  });
}

function usage(what: string, next: string): Stop {
  return new Stop(EXIT.usage, `${what} Nothing was changed.`, next);
}
