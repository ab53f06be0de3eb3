import { join } from "node:path";
import { manifestName } from "./backup-name.ts";
import { copiableBackups } from "./copiable.ts";
import { replaceFile } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import { type SshConnection, withSshConnection } from "./ssh-connection.ts";
import { copyBackup } from "./ssh-copy.ts";
import { copyEncrypted } from "./ssh-copy-encrypted.ts";
import { ensureFolder, listFolder, removeFile } from "./ssh-folder.ts";
import { type Listing, leftovers, missingCopies, unrecordedCopies } from "./ssh-missing.ts";

/** With these one backup cannot be copied, and the next perhaps can. Any other end of a copy is the end of the run. */
const ONLY_THIS_ONE: readonly number[] = [EXIT.storeRefused, EXIT.unusableBackup];

/** How sending over ssh came out. */
export interface SshOutcome {
  /** `ssh://user@host:22/path` */
  target: string;
  /** The backups that this run copied, or found there whole. */
  sent: string[];
  /** The backups that lack a copy still, or are not known to have one. */
  missing: string[];
  /** Why, or why it is not known; the first where several failed. Null when all is well. */
  failure: Stop | null;
}

/**
 * Copies every backup of this stack that the server lacks, the newest first, and records each copy in its manifest. Null where
 * the stack has no such server. What the server does wrong is not thrown: the outcome says it. Only for whoever holds the
 * copies' lock; a `signal` that aborts with a Stop ends it in the middle, which is safe.
 *
 * It logs in and looks also when all is sent: a copy that has vanished there, or a server that is gone, is to be noticed
 * before the day it is needed.
 */
export async function sendMissingBySsh(
  settings: AgentSettings,
  report: Reporter,
  signal?: AbortSignal,
): Promise<SshOutcome | null> {
  const { ssh } = settings;
  if (!ssh) return null;
  const backups = await copiableBackups(settings);
  const unrecorded = unrecordedCopies(backups, ssh.target).map(({ file }) => file);
  const outcome: SshOutcome = { target: ssh.target, sent: [], missing: unrecorded, failure: null };
  try {
    await withSshConnection(
      ssh,
      async connection => {
        const missing = missingCopies(backups, await tidyListing(connection, settings.stack), ssh.target);
        outcome.missing = missing.map(({ file }) => file);
        for (const manifest of missing) await sendOne(connection, settings, manifest, outcome, report);
      },
      signal,
    );
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    outcome.failure ??= error;
  }
  return outcome;
}

async function tidyListing(connection: SshConnection, stack: string): Promise<Listing> {
  await ensureFolder(connection);
  const listing = await listFolder(connection);
  for (const name of leftovers(listing, stack)) await removeFile(connection, name);
  return listing;
}

async function sendOne(
  connection: SshConnection,
  settings: AgentSettings,
  manifest: Manifest,
  outcome: SshOutcome,
  report: Reporter,
): Promise<void> {
  const { file, bytes } = manifest;
  try {
    if (manifest.offsiteSsh) await record(settings, file, null);
    const path = join(settings.backupDir, file);
    const { recipients } = settings;
    await (recipients.length > 0
      ? copyEncrypted(connection, path, manifest, recipients, report)
      : copyBackup(connection, path, manifest, report));
    await record(settings, file, { target: outcome.target, at: new Date().toISOString() });
  } catch (error) {
    if (!(error instanceof Stop) || !ONLY_THIS_ONE.includes(error.code)) throw error;
    outcome.failure ??= error;
    return;
  }
  outcome.missing = outcome.missing.filter(name => name !== file);
  outcome.sent.push(file);
  report.done(`${file} is at ${outcome.target} too (Size: ${humanSize(bytes)})`);
}

/** Read anew: sending took its time, and others write into manifests too. */
async function record(
  settings: AgentSettings,
  file: string,
  offsiteSsh: Manifest["offsiteSsh"],
): Promise<void> {
  const path = join(settings.backupDir, manifestName(file) as string);
  const reading = await readManifest(path);
  if (!reading.found) return;
  await replaceFile(path, `${JSON.stringify({ ...reading.manifest, offsiteSsh }, null, 2)}\n`).catch(
    (error: Error) => {
      throw new Stop(
        EXIT.failed,
        `What became of the copy of ${file} could not be recorded: ${error.message}.`,
        "Free some space in the backup directory, then run: npx budgie push",
      );
    },
  );
}
