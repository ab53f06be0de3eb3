import type { BackupSource } from "./backup-source.ts";
import { createCandidate, dropCandidate } from "./candidate.ts";
import { inspectDump, type ReadDump, requireWhole } from "./dump-file.ts";
import { RESERVED_BYTES } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { fillCandidate } from "./fill-candidate.ts";
import { requireFittingServer } from "./fitting-server.ts";
import { saveIdentity } from "./identity.ts";
import { recordRun } from "./last-run.ts";
import { type Lock, withLock } from "./lock.ts";
import { totalRows } from "./manifest.ts";
import { refuse } from "./refuse.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import { openRestoreSource, type RestoreSource, type SourceOptions } from "./restore-source.ts";
import { connectToMaintenance, readServerFacts } from "./server.ts";
import type { AgentSettings } from "./settings.ts";
import { previousDatabases, swap } from "./swap.ts";

export interface RestoreOptions extends SourceOptions {
  /** The stack whose backup may be restored here besides this one's own. */
  fromStack: string | null;
}

export interface Restored {
  source: string;
  database: string;
  tables: number;
  rows: number;
  /** The safety backup's name; null when there was no database to save. */
  safetyBackup: string | null;
  /** Where the database that was there is now; null when there was none. */
  previousDatabase: string | null;
  notCompared: string[];
}

/**
 * The one door back into the database: load beside, compare, swap. Until the swap's COMMIT the live database is only
 * read; after it, it lives on under another name. At any kill the old database serves, and the same command run again
 * starts over: what it finds half done it throws away.
 */
export function restore(
  settings: AgentSettings,
  options: RestoreOptions,
  report: Reporter,
): Promise<Restored> {
  return recordRun(settings, "restore", () =>
    withLock(settings, "restore", async lock => {
      const source = await openRestoreSource(settings, options, report);
      try {
        return await restoreUnderLock(settings, options, source, lock, report);
      } finally {
        await source.discard();
      }
    }),
  );
}

async function restoreUnderLock(
  settings: AgentSettings,
  options: RestoreOptions,
  source: RestoreSource,
  lock: Lock,
  report: Reporter,
): Promise<Restored> {
  const before = await preflight(settings, options, source, lock, report);

  const candidate = await createCandidate(lock.session, settings);
  const { safetyBackup, loaded, comparison } = await fillCandidate(
    settings,
    source,
    before,
    candidate,
    lock,
    report,
  ).catch(async (error: unknown) => {
    await dropCandidate(lock.session, candidate).catch(() => undefined);
    throw error;
  });

  report.info(`Step 4/5: putting it in the place of ${settings.database}`);
  const previousDatabase = await swapIn(settings, lock, candidate);
  const { systemIdentifier } = await readServerFacts(settings);
  await saveIdentity(settings, systemIdentifier, loaded.tables.length === 0);
  const rows = totalRows(loaded.tables);
  report.done(`Database restored. Tables: ${loaded.tables.length}, rows: ${rows}`);
  if (previousDatabase)
    report.info(
      `What was there before is kept as ${previousDatabase}; \`npx budgie restore --undo\` brings it back`,
    );
  return {
    source: source.name,
    database: settings.database,
    tables: loaded.tables.length,
    rows,
    safetyBackup,
    previousDatabase,
    notCompared: comparison.notCompared,
  };
}

/** Swaps the newest database that was set aside back into place. What is live now is set aside in its turn. */
export function undoRestore(settings: AgentSettings, report: Reporter): Promise<Restored> {
  return recordRun(settings, "restore --undo", () =>
    withLock(settings, "restore --undo", async lock => {
      const [newest] = await previousDatabases(lock.session, settings.database);
      if (!newest) {
        throw new Stop(
          EXIT.unusableBackup,
          `No database is set aside for ${settings.database}, so there is nothing to go back to.`,
          "Restore a backup instead: `npx budgie list` shows them.",
        );
      }
      const previousDatabase = await swapIn(settings, lock, newest);
      const { systemIdentifier, tables } = await readServerFacts(settings);
      await saveIdentity(settings, systemIdentifier, tables === 0);
      report.done(`${newest} is ${settings.database} again. Tables: ${tables}`);
      if (previousDatabase) report.info(`What was there until now is kept as ${previousDatabase}`);
      return {
        source: newest,
        database: settings.database,
        tables,
        rows: 0,
        safetyBackup: null,
        previousDatabase,
        notCompared: [],
      };
    }),
  );
}

/** Renames on the session that holds the lock: without the lock there is no swap. */
async function swapIn(settings: AgentSettings, lock: Lock, incoming: string): Promise<string | null> {
  const helper = await connectToMaintenance(settings, "budgie swap");
  try {
    return await swap(lock.session, helper, settings.database, incoming);
  } finally {
    await helper.end().catch(() => undefined);
  }
}

/** Everything that can be refused is refused here, before anything is touched. */
async function preflight(
  settings: AgentSettings,
  options: RestoreOptions,
  source: RestoreSource,
  lock: Lock,
  report: Reporter,
): Promise<ReadDump> {
  requireOwnStack(settings, options, source);
  const progress = report.progress("checking", source.manifest?.bytes ?? null);
  const read = await inspectDump(source.path, source.shown, progress).finally(() => progress.end());
  requireWhole(read, source.shown, source.manifest);
  if (!source.manifest)
    report.warn(
      `${source.name} has no manifest: it is compared with itself, not with what was once recorded`,
    );
  await requireFittingServer(lock.session, source, read.fingerprint);
  await requireServerSpace(source, read, lock, report);
  return read;
}

function requireOwnStack(settings: AgentSettings, options: RestoreOptions, source: BackupSource): void {
  const stack = source.manifest?.stack;
  if (!stack || stack === settings.stack || stack === options.fromStack) return;
  throw refuse(
    `${source.name} is a backup of stack ${stack}, and this is stack ${settings.stack}`,
    `If that is what you want, say so: npx budgie restore ${options.source} --from-stack ${stack}`,
  );
}

/** The candidate lies beside the live database, so both must fit. Asked of the server itself, where it lets us. */
async function requireServerSpace(
  source: BackupSource,
  read: ReadDump,
  lock: Lock,
  report: Reporter,
): Promise<void> {
  // Without a record of the size on disk: indexes and row headers about double a plain dump.
  const needed =
    Math.ceil(source.manifest ? source.manifest.databaseBytes * 1.1 : read.fingerprint.bytes * 2) +
    RESERVED_BYTES;
  const free = await serverFreeBytes(lock);
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

async function serverFreeBytes({ session }: Lock): Promise<number | null> {
  try {
    await session.query("CREATE TEMP TABLE budgie_df (line text)");
    await session.query(`COPY budgie_df FROM PROGRAM 'df -Pk . | tail -n 1 | tr -s " " | cut -d " " -f 4'`);
    const { rows } = await session.query<{ line: string }>("SELECT line FROM budgie_df");
    const kilobytes = Number(rows[0]?.line);
    return Number.isFinite(kilobytes) ? kilobytes * 1024 : null;
  } catch {
    return null;
  } finally {
    await session.query("DROP TABLE IF EXISTS budgie_df");
  }
}
