import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { backupsToCopy } from "../catalogue/backups-to-copy.ts";
import { changeManifest } from "../manifest/change.ts";
import { readManifestKey } from "../manifest/key.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { type SshConnection, withSshConnection } from "./connection.ts";
import { copyBackup } from "./copy.ts";
import { copyEncrypted } from "./copy-encrypted.ts";
import { ensureFolder, listFolder, removeFile } from "./folder.ts";
import { type Listing, leftovers, missingCopies, unrecordedCopies } from "./missing.ts";

/** After these ends of a copy, the next backup can perhaps be copied. Any other end of a copy ends the run. */
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
 * the stack has no such server. A failure of the server is not thrown: it is in the outcome. Only for whoever holds the copies'
 * lock. A `signal` that aborts with a Stop ends it in the middle, which is safe.
 *
 * It logs in and looks even when all is sent: that a copy has vanished, or the server is gone, must be noticed before the day on
 * which they are needed.
 */
export async function sendMissingBySsh(
  settings: AgentSettings,
  report: Reporter,
  signal?: AbortSignal,
): Promise<SshOutcome | null> {
  const { ssh } = settings;
  if (!ssh) return null;
  const backups = await backupsToCopy(settings);
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
    const key = await readManifestKey(settings);
    const copying = { connection, path, manifest, key, report };
    await (recipients.length > 0 ? copyEncrypted(copying, recipients) : copyBackup(copying));
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

async function record(
  settings: AgentSettings,
  file: string,
  offsiteSsh: Manifest["offsiteSsh"],
): Promise<void> {
  await changeManifest(settings, file, { offsiteSsh }).catch((error: Error) => {
    throw new Stop(
      EXIT.failed,
      `What became of the copy of ${file} could not be recorded: ${error.message}.`,
      "Free some space in the backup directory, then run: npx budgie push",
    );
  });
}
