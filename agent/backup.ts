import { createHash } from "node:crypto";
import { access, stat } from "node:fs/promises";
import { join } from "node:path";
import { Transform, type Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { createGzip } from "node:zlib";
import { backupName, manifestName } from "./backup-name.ts";
import { listBackups, newestGood } from "./catalogue.ts";
import { dump } from "./dump.ts";
import type { DumpFingerprint } from "./dump-fingerprint.ts";
import { keepReserve, openPartial, type PartialFile, removeLeftovers, requireSpace } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { judgeIdentity, readIdentity, saveIdentity } from "./identity.ts";
import { recordRun } from "./last-run.ts";
import { type Lock, withLock } from "./lock.ts";
import type { Manifest, Reason } from "./manifest.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import { connect, readServerFacts, type ServerFacts } from "./server.ts";
import type { AgentSettings, BackupFormat } from "./settings.ts";

export interface BackupOptions {
  reason: Reason;
  format: BackupFormat;
}

/** Takes the lock, then a backup. */
export async function backup(
  settings: AgentSettings,
  options: BackupOptions,
  report: Reporter,
): Promise<Manifest> {
  return recordRun(settings, "backup", () =>
    withLock(settings, `backup (${options.reason})`, lock =>
      backupUnderLock(settings, options, lock, report),
    ),
  );
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
  await removeLeftovers(settings.backupDir, settings.stack);
  const facts = await factsOf(settings);
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

async function factsOf(settings: AgentSettings): Promise<ServerFacts> {
  const client = await connect(settings, settings.database);
  try {
    return await readServerFacts(client);
  } finally {
    await client.end();
  }
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
    const file = partial.sink();
    const compressed = format === "sql.gz" ? hashingGzip() : null;
    const reserve = keepReserve(settings.backupDir, settings.backupDirShown);
    const stages: Writable[] = compressed
      ? [compressed.gzip, compressed.hash, reserve, file]
      : [reserve, file];
    const fingerprint = await dump(settings.database, stages, signal, bytes => progress.at(bytes));
    const sha256 = compressed?.digest() ?? fingerprint.sha256;
    const { size } = await stat(partial.path);
    await publish(partial, name);
    return { fingerprint, bytes: size, sha256 };
  } catch (error) {
    await partial.discard();
    throw error;
  } finally {
    progress.end();
  }
}

function hashingGzip() {
  const sha256 = createHash("sha256");
  return {
    gzip: createGzip({ level: 6, chunkSize: 1 << 18 }),
    hash: new Transform({
      transform(chunk: Buffer, _encoding, next) {
        sha256.update(chunk);
        next(null, chunk);
      },
    }),
    digest: () => sha256.digest("hex"),
  };
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
  };
}
