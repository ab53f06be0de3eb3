import { createHash } from "node:crypto";
import { access, stat } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { createGzip } from "node:zlib";
import { backupName, manifestName } from "./backup-name.ts";
import { listBackups, newestGood } from "./catalogue.ts";
import { DUMP_SESSION, dump, dumpInto } from "./dump.ts";
import type { DumpFingerprint } from "./dump-fingerprint.ts";
import {
  backgroundFlush,
  keepReserve,
  openPartial,
  type PartialFile,
  removeLeftovers,
  requireSpace,
  reserveGuard,
} from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { judgeIdentity, readIdentity, saveIdentity } from "./identity.ts";
import { recordRun } from "./last-run.ts";
import { type Lock, withLock } from "./lock.ts";
import type { Manifest, Reason } from "./manifest.ts";
import { humanSize, type Progress, type Reporter } from "./reporter.ts";
import { readServerFacts, type ServerFacts } from "./server.ts";
import type { AgentSettings, BackupFormat } from "./settings.ts";

export interface BackupOptions {
  reason: Reason;
  format: BackupFormat;
}

/** Takes the lock, then a backup. `stopped` ends it, with nothing left behind; the Stop thrown is its reason. */
export async function backup(
  settings: AgentSettings,
  options: BackupOptions,
  report: Reporter,
  stopped?: AbortSignal,
): Promise<Manifest> {
  return recordRun(settings, "backup", () =>
    withLock(settings, `backup (${options.reason})`, lock =>
      backupUnderLock(settings, options, endedBy(lock, stopped), report),
    ),
  );
}

function endedBy(lock: Lock, stopped: AbortSignal | undefined): Lock {
  return stopped ? { ...lock, lost: AbortSignal.any([lock.lost, stopped]) } : lock;
}

/**
 * Takes a backup while holding the lock. At any kill the directory holds either no trace under a final name, or the
 * whole dump without its manifest (not reported, not counted), or both.
 */
export async function backupUnderLock(
  settings: AgentSettings,
  options: BackupOptions,
  lock: Lock,
  report: Reporter,
): Promise<Manifest> {
  await endOrphans(lock);
  await removeLeftovers(settings.backupDir, settings.stack);
  const facts = await readServerFacts(settings);
  const identity = await recordIdentityOnce(settings, facts);
  await requireSpace(settings.backupDir, settings.backupDirShown, await expectedBytes(settings));
  const startedAt = new Date();
  report.info("Creating database backup...");
  const name = await freeName(settings, options.format);
  report.info(`Backup file: ${settings.backupDirShown}/${name}`);
  const { fingerprint, bytes, sha256 } = await writeDump(settings, options.format, name, lock.lost, report);
  const manifest = describe(settings, options, { ...facts, identity }, fingerprint, {
    name,
    bytes,
    sha256,
    startedAt,
  });
  await writeManifest(settings, manifest);
  if (identity === "unexpected") {
    report.warn(
      "This backup is of another database than the ones before it, so it never counts as the latest.",
    );
  }
  report.done(`Backup created successfully! (Size: ${humanSize(bytes)})`);
  report.info(`Total backups: ${(await listBackups(settings)).length}`);
  return manifest;
}

/** A pg_dump whose agent was killed writes on into its file, unwatched. Under the lock, every dump there is is such a one. */
async function endOrphans({ session }: Lock): Promise<void> {
  await session.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [
    DUMP_SESSION,
  ]);
}

/** The first backup says which database this stack's is. Every later one is compared with that, and says how it came out. */
async function recordIdentityOnce(
  settings: AgentSettings,
  facts: ServerFacts,
): Promise<Manifest["identity"]> {
  const known = await readIdentity(settings);
  if (known === null) await saveIdentity(settings, facts.systemIdentifier);
  return judgeIdentity(known, await newestGood(settings), facts) === null ? "known" : "unexpected";
}

/** The newest backup's size and a tenth: the best guess there is before the dump exists. 0 for the first. */
async function expectedBytes(settings: AgentSettings): Promise<number> {
  const newest = (await listBackups(settings)).at(0);
  return newest ? Math.ceil(newest.bytes * 1.1) : 0;
}

/** Names have whole seconds; where this second is taken, the next one is used. */
async function freeName(settings: AgentSettings, format: BackupFormat): Promise<string> {
  for (;;) {
    const now = new Date();
    const name = backupName(now, format);
    const rivals = [backupName(now, "sql"), backupName(now, "sql.gz"), manifestName(name) ?? name];
    const taken = await Promise.all(
      rivals.map(rival =>
        access(join(settings.backupDir, rival)).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!taken.includes(true)) return name;
    await delay(100);
  }
}

interface Written {
  fingerprint: DumpFingerprint;
  bytes: number;
  sha256: string;
}

async function writeDump(
  settings: AgentSettings,
  format: BackupFormat,
  name: string,
  signal: AbortSignal,
  report: Reporter,
): Promise<Written> {
  const partial = await openPartial(settings.backupDir, settings.stack, name);
  const progress = report.progress("dumping", null);
  try {
    const written =
      format === "sql"
        ? await writePlain(settings, partial, progress, signal)
        : await writeCompressed(settings, partial, progress, signal);
    const { size } = await stat(partial.path);
    await publish(partial, name);
    return { ...written, bytes: size };
  } catch (error) {
    await partial.discard();
    throw error;
  } finally {
    progress.end();
  }
}

type Content = Pick<Written, "fingerprint" | "sha256">;

async function writePlain(
  settings: AgentSettings,
  partial: PartialFile,
  progress: Progress,
  signal: AbortSignal,
): Promise<Content> {
  const keepReserve = reserveGuard(settings.backupDir, settings.backupDirShown);
  const flush = backgroundFlush(partial.handle);
  let before = 0;
  const fingerprint = await dumpInto(partial.handle, settings.database, signal, async bytes => {
    progress.at(bytes);
    flush.wrote(bytes - before);
    await keepReserve(bytes - before);
    before = bytes;
  });
  await flush.done();
  return { fingerprint, sha256: fingerprint.sha256 };
}

async function writeCompressed(
  settings: AgentSettings,
  partial: PartialFile,
  progress: Progress,
  signal: AbortSignal,
): Promise<Content> {
  const sha256 = createHash("sha256");
  const gzip = createGzip({ level: 6, chunkSize: 1 << 18 });
  const hash = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      sha256.update(chunk);
      next(null, chunk);
    },
  });
  const stages = [gzip, hash, keepReserve(settings.backupDir, settings.backupDirShown), partial.sink()];
  const fingerprint = await dump(settings.database, stages, signal, bytes => progress.at(bytes));
  return { fingerprint, sha256: sha256.digest("hex") };
}

async function publish(partial: PartialFile, name: string): Promise<void> {
  try {
    await partial.publish(name);
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `The backup could not be given its name ${name}: ${(error as Error).message}.`,
    );
  }
}

async function writeManifest(settings: AgentSettings, manifest: Manifest): Promise<void> {
  const name = manifestName(manifest.file) as string;
  const partial = await openPartial(settings.backupDir, settings.stack, name);
  try {
    await partial.handle.writeFile(`${JSON.stringify(manifest, null, 2)}\n`);
    await publish(partial, name);
  } catch (error) {
    await partial.discard();
    throw error;
  }
}

function describe(
  settings: AgentSettings,
  options: BackupOptions,
  facts: ServerFacts & Pick<Manifest, "identity">,
  fingerprint: DumpFingerprint,
  file: { name: string; bytes: number; sha256: string; startedAt: Date },
): Manifest {
  return {
    format: 1,
    file: file.name,
    stack: settings.stack,
    database: settings.database,
    systemIdentifier: facts.systemIdentifier,
    identity: facts.identity,
    serverVersion: facts.serverVersion,
    pgDumpVersion: fingerprint.pgDumpVersion ?? "unknown",
    reason: options.reason,
    startedAt: file.startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    bytes: file.bytes,
    sha256: file.sha256,
    contentBytes: fingerprint.bytes,
    contentSha256: fingerprint.sha256,
    schemaSha256: fingerprint.schemaSha256,
    databaseBytes: facts.databaseBytes,
    roles: facts.roles,
    extensions: facts.extensions,
    tables: fingerprint.tables,
    offsite: null,
    offsiteSsh: null,
  };
}
