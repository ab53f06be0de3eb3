import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { BackupFormat } from "../../shared/backup-format.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { requireSpace } from "../base/durable-file.ts";
import { fileExists } from "../base/file-exists.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { sideBySide } from "../base/side-by-side.ts";
import { listBackups } from "../catalogue/catalogue.ts";
import { startFirstSigning } from "../catalogue/first-signing.ts";
import { judgeIdentity, newestHeld, readIdentity, saveIdentity } from "../catalogue/identity.ts";
import { rememberBackups } from "../catalogue/known-backups.ts";
import { readRunningBackend } from "../catalogue/running-backend.ts";
import { backupName, formatOf, namesOfSecond } from "../manifest/backup-name.ts";
import { readManifestKey } from "../manifest/key.ts";
import { signed } from "../manifest/mac.ts";
import type { Manifest, Reason } from "../manifest/manifest.ts";
import { discardPending, publishPending, writePending } from "../manifest/pending.ts";
import { type Operation, operate } from "../operation/operate.ts";
import { readServerFacts, type ServerFacts } from "../server/connection.ts";
import type { Lock } from "../server/database-lock.ts";
import type { Reached } from "../server/elsewhere.ts";
import { type SharedSnapshot, shareSnapshot } from "../server/shared-snapshot.ts";
import { throughStandby } from "../server/standby.ts";
import { namingTableHolders } from "../server/table-locks.ts";
import { type Globals, writeGlobals } from "./globals.ts";
import { newManifest, type Written } from "./new-manifest.ts";
import { roomForDump } from "./room-for-dump.ts";
import { type NewDump, publish, writeDump } from "./write-dump.ts";

export interface BackupOptions {
  reason: Reason;
  format: BackupFormat;
  /** Whether the roles beside the dump have their passwords, hashed. @default false */
  rolePasswords?: boolean;
}

/** Takes the lock, then a backup. When `stopped` aborts, the backup leaves nothing behind and throws the reason, a Stop. */
export async function backup(
  settings: AgentSettings,
  options: BackupOptions,
  report: Reporter,
  stopped?: AbortSignal,
): Promise<Manifest> {
  return operate(settings, backupOperation(options.reason), report, lock =>
    backupUnderLock(settings, options, endedBy(lock, stopped), report),
  );
}

export function backupOperation(reason: Reason): Operation {
  return { kind: "backup", name: "backup", shown: `backup (${reason})` };
}

function endedBy(lock: Lock, stopped: AbortSignal | undefined): Lock {
  return stopped ? { ...lock, lost: AbortSignal.any([lock.lost, stopped]) } : lock;
}

/**
 * Takes a backup while holding the lock. At any kill the directory holds either no trace under a final name, or the whole dump
 * whose manifest is still hidden (not reported, not counted; the next operation finishes it), or both.
 */
export async function backupUnderLock(
  settings: AgentSettings,
  options: BackupOptions,
  lock: Lock,
  report: Reporter,
): Promise<Manifest> {
  try {
    return await throughStandby(settings, lock.lost, report, from => takeBackup(from, options, lock, report));
  } catch (error) {
    throw await namingTableHolders(settings, error);
  }
}

async function takeBackup(
  settings: Reached,
  options: BackupOptions,
  lock: Lock,
  report: Reporter,
): Promise<Manifest> {
  const key = await readManifestKey(settings);
  const facts = await readServerFacts(settings);
  const identity = await recordIdentityOnce(settings, facts);
  await requireSpace(
    settings.backupDir,
    settings.backupDirShown,
    await expectedBytes(settings, options.format),
  );
  await startFirstSigning(settings, key);
  const room = await roomForDump(settings, options.format, lock.lost, report);
  const startedAt = new Date();
  report.info("Creating database backup...");
  const name = await freeName(settings, options.format);
  report.info(`Backup file: ${settings.backupDirShown}/${name}`);
  const { reason } = options;
  const { costliestRow } = room;
  const backendImage = await readRunningBackend(settings);
  const snapshot = settings.pointInTime ? await shareSnapshot(settings) : undefined;
  const manifest = await writeDumpAndGlobals(
    settings,
    options,
    { name, connections: room.connections, encoding: facts.encoding, snapshot: snapshot?.id ?? null },
    async (written, globals) => {
      const walPosition = await positionOf(snapshot);
      const taken = {
        file: name,
        identity,
        reason,
        globals,
        costliestRow,
        walPosition,
        backendImage,
        startedAt,
      };
      return signed(key, newManifest(settings, taken, facts, written));
    },
    lock.lost,
    report,
  ).finally(() => snapshot?.discard());
  await nameManifest(settings, name);
  if (identity === "unexpected") {
    report.warn(
      "This backup is of another database than the ones before it, so it never counts as the latest.",
    );
  }
  report.done(`Backup created successfully! (Size: ${humanSize(manifest.bytes)})`);
  const all = await listBackups(settings);
  // The agent does it again within a minute.
  await rememberBackups(settings, all).catch((error: Error) =>
    report.warn(`That this backup is there could not be noted: ${error.message}`),
  );
  report.info(`Total backups: ${all.length}`);
  return manifest;
}

async function positionOf(snapshot: SharedSnapshot | null | undefined): Promise<Manifest["walPosition"]> {
  return snapshot ? snapshot.end() : snapshot;
}

/** The first backup records which database is this stack's. Each later one is compared with that record, and says the result. */
async function recordIdentityOnce(
  settings: AgentSettings,
  facts: ServerFacts,
): Promise<Manifest["identity"]> {
  const known = await readIdentity(settings);
  if (known === null) await saveIdentity(settings, facts.systemIdentifier);
  return judgeIdentity(known, await newestHeld(settings), facts) === null ? "known" : "unexpected";
}

/**
 * The best guess before the dump exists: what the newest backup would take in this format, and a tenth more. A directory needs
 * twice the space while it is put into one file. 0 where there is nothing to go by.
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
      namesOfSecond(now).map(rival => fileExists(join(settings.backupDir, rival))),
    );
    if (!taken.includes(true)) return backupName(now, format);
    await delay(100);
  }
}

/**
 * Writes both at once; the first to fail ends the other. Before the first of them gets its name, the manifest lies beside them under
 * a hidden one. The roles get their name last: whoever sees them also sees the dump that they belong to.
 */
async function writeDumpAndGlobals(
  settings: AgentSettings,
  { format, rolePasswords = false }: BackupOptions,
  dumped: Omit<NewDump, "format">,
  describe: (written: Written, globals: Globals) => Promise<Manifest>,
  lost: AbortSignal,
  report: Reporter,
): Promise<Manifest> {
  const both = sideBySide(lost);
  const roles = both.add(writeGlobals(settings, dumped.name, rolePasswords, both.signal));
  const beforeName = async (written: Written) => {
    const manifest = await describe(written, (await roles).recorded);
    await writePending(settings, manifest);
    return manifest;
  };
  const dump = both.add(writeDump(settings, { format, ...dumped }, beforeName, both.signal, report));
  try {
    await both.ended();
    const { partial, recorded } = await roles;
    await publish(partial, recorded.file);
    return await dump;
  } catch (error) {
    // A dump that has its name is a backup once the next operation has named the rest.
    if (await fileExists(join(settings.backupDir, dumped.name))) throw error;
    await discardPending(settings, dumped.name);
    const left = await roles.catch(() => null);
    await left?.partial.discard();
    throw error;
  }
}

async function nameManifest(settings: AgentSettings, name: string): Promise<void> {
  await publishPending(settings, name).catch((error: Error) => {
    throw new Stop(
      EXIT.failed,
      `The manifest of ${name} could not be given its name: ${error.message}.`,
      "See that files can be written there, then run the same command again: it finishes this backup first.",
    );
  });
}
