import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { ObjectStore } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { listCommand } from "../../shared/copies-places.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import { shownAge } from "../base/shown-age.ts";
import { findBackup } from "../catalogue/backup-source.ts";
import { type CatalogueEntry, listBackups } from "../catalogue/catalogue.ts";
import { TIME_TOLERANCE_MS } from "../catalogue/judged-backup.ts";
import { type CopiesPlace, inBucket } from "../copies/place.ts";
import { isWhole, listRemote, type RemoteEntry, type WholeEntry } from "../copies/remote-catalogue.ts";
import { findRemote, requireReadable } from "../copies/remote-choice.ts";
import { isForeignOnly } from "../manifest/flaw.ts";
import type { Manifest } from "../manifest/manifest.ts";

/** Which backup of another stack is taken, as the door takes it. */
export interface ChosenBackup {
  source: string;
  /** As messages name it. */
  shown?: string | undefined;
  /** What reads its bucket; null where it is in none. */
  reader: ObjectStore | null;
  /** Its content, where it comes over ssh, and what opens it. */
  incoming?: { content: Readable; identities: readonly string[] };
  /** What it must hold, where only its own stack's agent says so. */
  contentSha256: string | null;
}

/** A folder with the other stack's backups. */
export interface RefreshFolder {
  /** As the agent sees it. */
  path: string;
  /** As the operator wrote it. */
  shown: string;
}

/**
 * One of another stack's backups in a folder: the one that is named, or the newest that a drill has proven. Throws a Stop.
 * @param next what to type where none is proven
 */
export async function chooseInFolder(
  settings: AgentSettings,
  folder: RefreshFolder,
  { fromStack, backup, next }: { fromStack: string; backup: string | null; next: string },
  report: Reporter,
): Promise<ChosenBackup> {
  const name = backup ?? (await newestInFolder(settings, folder, { fromStack, next }, report));
  const isOwn = folder.path === settings.backupDir;
  const source = isOwn ? name : join(folder.path, name);
  const { name: found, manifest } = await findBackup(settings, source);
  requireOfStack(found, manifest, fromStack);
  return { source, shown: isOwn ? undefined : join(folder.shown, name), reader: null, contentSha256: null };
}

async function newestInFolder(
  settings: AgentSettings,
  { path, shown }: RefreshFolder,
  { fromStack, next }: { fromStack: string; next: string },
  report: Reporter,
): Promise<string> {
  if (path !== settings.backupDir) await requireThere(path, shown);
  const there = { ...settings, stack: fromStack, backupDir: path, backupDirShown: shown };
  const newest = newestProven(await listBackups(there), fromStack, new Date());
  if (!newest) throw refuse(`No backup of stack ${fromStack} in ${shown} is proven`, next);
  report.info(`The newest proven backup of ${fromStack} is ${newest.name}, of ${ageOf(newest.manifest)} ago`);
  return newest.name;
}

/** A container keeps the folder that it was started with, also when that was removed. */
async function requireThere(path: string, shown: string): Promise<void> {
  const found = await stat(path).catch((error: Error) => error);
  if (!(found instanceof Error) && found.isDirectory() && found.nlink > 0) return;
  const why =
    found instanceof Error ? found.message : "it was removed or moved since the backup agent started";
  throw new Stop(
    EXIT.unusableBackup,
    `The folder ${shown} with the backups cannot be read: ${why}.`,
    "See that it exists, then have the agent look again: npx budgie restart backup",
  );
}

/** @param entries as their own stack lists them, newest first */
export function newestProven(
  entries: readonly CatalogueEntry[],
  stack: string,
  now: Date,
): CatalogueEntry | null {
  const proven = entries.find(
    entry =>
      whyNotTaken(entry, stack, now) === null &&
      entry.drill !== null &&
      entry.drill !== "unreadable" &&
      entry.drill.outcome === "good",
  );
  return proven ?? null;
}

/** Why it is not taken; null when it may be. Another stack's key is not here, and its backup is loaded as a foreign file. */
export function whyNotTaken(
  { manifest, flaw }: Pick<CatalogueEntry, "manifest" | "flaw">,
  stack: string,
  now: Date,
): string | null {
  if (flaw !== null && !isForeignOnly(flaw)) return flaw;
  if (manifest === null) return "it has no manifest";
  if (manifest.stack !== stack) return `it is of stack ${manifest.stack}`;
  if (manifest.identity !== "known") return "it is of another database";
  const isPast = Date.parse(manifest.startedAt) <= now.getTime() + TIME_TOLERANCE_MS;
  return isPast ? null : "it is from the future";
}

/**
 * One of another stack's backups in its bucket: the one that is named, or the newest that is whole. A bucket does not say what a drill
 * has proven, so what the door finds when it loads and compares is the proof. Throws a Stop.
 */
export async function chooseInBucket(
  settings: AgentSettings,
  store: ObjectStore,
  { fromStack, backup }: { fromStack: string; backup: string | null },
  report: Reporter,
): Promise<ChosenBackup> {
  const copies = inBucket(store);
  const entries = await listRemote(copies, { ...settings, stack: fromStack });
  const chosen =
    backup === null
      ? newestWhole(entries, copies, fromStack, new Date())
      : findRemote(entries, backup, copies);
  requireOfStack(chosen.name, chosen.manifest, fromStack);
  if (backup === null)
    report.info(
      `The newest backup of ${fromStack} in ${store.shown} is ${chosen.name}, of ${ageOf(chosen.manifest)} ago; whether it can be restored shows now`,
    );
  return { source: `s3://${store.bucket}/${chosen.key}`, reader: store, contentSha256: null };
}

/** @param entries as their own stack lists them, newest first */
export function newestWhole(
  entries: readonly RemoteEntry[],
  copies: Pick<CopiesPlace, "shown" | "prefix" | "from">,
  stack: string,
  now: Date,
): WholeEntry {
  const newest = entries.filter(isWhole).find(entry => whyNotTaken(entry, stack, now) === null);
  requireReadable(entries, newest, copies);
  if (newest) return newest;
  const [latest] = entries;
  const why = latest ? `; the newest, ${latest.name}, cannot: ${whyNotTaken(latest, stack, now)}` : "";
  const under = copies.prefix === "" ? "" : `, under ${copies.prefix},`;
  throw refuse(
    `There is no backup of stack ${stack} in ${copies.shown}${under} that can be taken${why}`,
    `See what that stack has sent: ${listCommand(copies.from, stack)}`,
  );
}

function requireOfStack(name: string, manifest: Manifest | null, fromStack: string): void {
  if (manifest?.stack === fromStack) return;
  throw refuse(
    manifest
      ? `${name} is a backup of stack ${manifest.stack}, and not of ${fromStack}`
      : `${name} has no manifest, so nobody knows whether it is a backup of ${fromStack}`,
  );
}

export function ageOf(manifest: Manifest | null): string {
  return shownAge(Date.now() - Date.parse(manifest?.startedAt ?? ""));
}
