import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { RESERVED_BYTES } from "../../shared/reserved-bytes.ts";
import { refuse } from "../base/refuse.ts";
import { humanSize } from "../base/reporter.ts";
import type { BackupSource, RestoreSource } from "../catalogue/backup-source.ts";
import { listBackups } from "../catalogue/catalogue.ts";
import { createRoles, requireFittingServer } from "../load/fitting-server.ts";
import { type KnownDump, knowDump } from "../load/known-dump.ts";
import type { Lock } from "../server/database-lock.ts";
import { serverFreeBytes } from "../server/free-bytes.ts";
import { requireFreeWay } from "./in-the-way.ts";
import { tellOtherCode } from "./other-code.ts";
import type { RestoreOptions, Restoring } from "./restoring.ts";

/** What may be restored. */
export interface Cleared {
  source: RestoreSource;
  known: KnownDump;
  /** Logical replication slots of the database that is replaced: they stay with it. */
  slotsLeftBehind: string[];
}

/** Refuses everything that can be refused, before anything is touched. Throws a Stop. */
export async function preflight(
  restoring: Restoring,
  options: RestoreOptions,
  given: RestoreSource,
): Promise<Cleared> {
  const cleared = await preflightBeside(restoring, options, given);
  const { settings, lock, report } = restoring;
  const { slotsLeftBehind } = await requireFreeWay(lock.session, settings.database, report);
  return { ...cleared, slotsLeftBehind };
}

/** The same where the live database is not replaced: nothing about it can stand in the way. */
export async function preflightBeside(
  restoring: Restoring,
  options: RestoreOptions,
  given: RestoreSource,
): Promise<Pick<Cleared, "source" | "known">> {
  const { settings, lock, report } = restoring;
  requireOwnStack(settings, options, given);
  const progress = report.progress("checking", given.manifest?.bytes ?? null);
  const manifest = given.authentic ? given.manifest : null;
  const known = await knowDump(given.path, given.shown, manifest, progress).finally(() => progress.end());
  const source = await recognized(settings, given, known);
  await tellOtherCode(settings, source.authentic ? source.manifest : null, report);
  await requireFittingServer(lock.session, source, known);
  if (!source.authentic && options.trustFile) requireRoles(source, await missingRoles(lock.session, known));
  await requireServerSpace(restoring, source, known);
  return { source, known };
}

/** A copy of one of this stack's own backups, under whatever name it comes, is that backup. */
async function recognized(
  settings: AgentSettings,
  given: RestoreSource,
  { read }: KnownDump,
): Promise<RestoreSource> {
  if (given.authentic || read === null) return given;
  const backups = await listBackups(settings);
  const own = backups.find(
    ({ authentic, manifest }) => authentic && manifest?.contentSha256 === read.contentSha256,
  );
  return own ? { ...given, manifest: own.manifest, authentic: true } : given;
}

/** The roles that a file names and the server does not have. */
export async function missingRoles(session: Lock["session"], { read }: KnownDump): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    "SELECT unnest($1::text[]) AS name EXCEPT SELECT rolname::text FROM pg_roles ORDER BY 1",
    [read?.fingerprint.roles ?? []],
  );
  return rows.map(({ name }) => name);
}

/** A file that is loaded with all rights also gives what it brings to the roles that it names. */
function requireRoles(source: RestoreSource, missing: readonly string[]): void {
  if (missing.length === 0) return;
  throw refuse(
    `${source.shown} needs roles that this server does not have: ${missing.join(", ")}`,
    `Make them first, in \`npx budgie psql\`: ${createRoles(missing)}`,
  );
}

function requireOwnStack(settings: AgentSettings, options: RestoreOptions, source: BackupSource): void {
  const stack = source.manifest?.stack;
  if (!stack || stack === settings.stack || stack === options.fromStack) return;
  throw refuse(
    `${source.name} is a backup of stack ${stack}, and this is stack ${settings.stack}`,
    `If that is what you want, say so: npx budgie restore ${options.source} --from-stack ${stack}`,
  );
}

/** The candidate lies beside the live database, so both must fit. The server itself is asked, where it allows that. */
async function requireServerSpace(
  { lock, report }: Restoring,
  source: BackupSource,
  known: KnownDump,
): Promise<void> {
  // Without a record of the size on disk: indexes and row headers about double a plain dump.
  const needed =
    Math.ceil(source.manifest ? source.manifest.databaseBytes * 1.1 : known.contentBytes * 2) +
    RESERVED_BYTES;
  const free = await serverFreeBytes(lock.session);
  if (free === null) {
    report.warn(
      "The server does not say how much space it has left; a disk that fills up ends the restore, and the database stays as it is",
    );
  } else if (free < needed) {
    throw new Stop(
      EXIT.noSpace,
      `Not enough space on the database's disk to load ${source.name} beside what is there: about ${humanSize(needed)} are needed, ${humanSize(free)} are free.`,
      "Free some space there, then run the same command again.",
    );
  }
}
