import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { BackupFormat } from "./backup-format.ts";
import { backupName, formatOf, manifestName, namesOfSecond } from "./backup-name.ts";
import { listBackups, newestGood } from "./catalogue.ts";
import { DUMP_SESSION } from "./dump.ts";
import { openPartial, removeLeftovers, requireSpace } from "./durable-file.ts";
import { type Globals, writeGlobals } from "./globals.ts";
import { judgeIdentity, readIdentity, saveIdentity } from "./identity.ts";
import { recordRun } from "./last-run.ts";
import { type Lock, withLock } from "./lock.ts";
import type { Manifest, Reason } from "./manifest.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import { readServerFacts, type ServerFacts } from "./server.ts";
import type { AgentSettings } from "./settings.ts";
import { publish, type Written, writeDump } from "./write-dump.ts";

export interface BackupOptions {
  reason: Reason;
  format: BackupFormat;
  /** Whether the roles beside the dump have their passwords, hashed. @default false */
  rolePasswords?: boolean;
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
  await requireSpace(
    settings.backupDir,
    settings.backupDirShown,
    await expectedBytes(settings, options.format),
  );
  const startedAt = new Date();
  report.info("Creating database backup...");
  const name = await freeName(settings, options.format);
  report.info(`Backup file: ${settings.backupDirShown}/${name}`);
  const { written, globals } = await writeDumpAndGlobals(settings, options, name, lock.lost, report);
  const file = { name, startedAt, globals };
  const manifest = describe(settings, options, { ...facts, identity }, written, file);
  await writeManifest(settings, manifest);
  if (identity === "unexpected") {
    report.warn(
      "This backup is of another database than the ones before it, so it never counts as the latest.",
    );
  }
  report.done(`Backup created successfully! (Size: ${humanSize(manifest.bytes)})`);
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

/**
 * The best guess there is before the dump exists: what the newest backup would take in this format, and a tenth. A directory
 * is there twice while it is put into one file. 0 where there is nothing to go by.
 */
async function expectedBytes(settings: AgentSettings, format: BackupFormat): Promise<number> {
  const manifest = (await listBackups(settings)).at(0)?.manifest;
  if (!manifest) return 0;
  const bytes =
    formatOf(manifest.file) === format ? manifest.bytes : format === "sql" ? manifest.contentBytes : 0;
  return Math.ceil(bytes * (format === "dir.tar" ? 2.1 : 1.1));
}

/** Names have whole seconds; where this second is taken, the next one is used. */
async function freeName(settings: AgentSettings, format: BackupFormat): Promise<string> {
  for (;;) {
    const now = new Date();
    const taken = await Promise.all(
      namesOfSecond(now).map(rival =>
        access(join(settings.backupDir, rival)).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!taken.includes(true)) return backupName(now, format);
    await delay(100);
  }
}

/**
 * Both are written at once; the first to fail ends the other. The roles get their name last: whoever sees them sees the dump that
 * they belong to.
 */
async function writeDumpAndGlobals(
  settings: AgentSettings,
  { format, rolePasswords = false }: BackupOptions,
  name: string,
  lost: AbortSignal,
  report: Reporter,
): Promise<{ written: Written; globals: Globals }> {
  const failed = new AbortController();
  const signal = AbortSignal.any([lost, failed.signal]);
  const endBoth = (error: unknown) => {
    failed.abort(error);
    throw error;
  };
  const roles = writeGlobals(settings, name, rolePasswords, signal).catch(endBoth);
  const dump = writeDump(settings, format, name, roles, signal, report).catch(endBoth);
  const [rolesEnd] = await Promise.allSettled([roles, dump]);
  if (rolesEnd.status === "rejected") throw failed.signal.reason;
  const { partial, recorded } = rolesEnd.value;
  try {
    const written = await dump;
    await publish(partial, recorded.file);
    return { written, globals: recorded };
  } catch (error) {
    await partial.discard();
    throw error;
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
  { fingerprint, bytes, sha256, contentSha256 }: Written,
  file: { name: string; startedAt: Date; globals: Globals },
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
    bytes,
    sha256,
    contentBytes: fingerprint.bytes,
    contentSha256,
    schemaSha256: fingerprint.schemaSha256,
    databaseBytes: facts.databaseBytes,
    roles: facts.roles,
    extensions: facts.extensions,
    globals: file.globals,
    tables: fingerprint.tables,
    offsite: null,
    offsiteSsh: null,
  };
}
