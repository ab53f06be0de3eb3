import { Unconfirmed } from "./checked-put.ts";
import { encryptedBytes } from "./encryption.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { type ObjectStore, openWriter, shownPlace } from "./object-store.ts";
import { listObjects } from "./remote-objects.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import type { AgentSettings, OffsiteSettings } from "./settings.ts";
import { keysFor, sendBackup } from "./store-copy.ts";
import { type MissingBackup, missingBackups, setAside } from "./store-missing.ts";

/** How sending to the object store came out. */
export interface StoreOutcome {
  /** `http://store:9000/budgie-backups` */
  store: string;
  /** The backups that this run sent, or found there whole. */
  sent: string[];
  /** The backups that lack a copy still, or are not known to have one. */
  missing: string[];
  /** Why; the first where several failed. Null when all is well. */
  failure: Stop | null;
}

export interface SendOptions {
  /** With credentials that may read: what is missing is then what the store does not list. Null: what is not recorded here. */
  reader: ObjectStore | null;
  /** What is missing beyond that is left to the next run. */
  most: number;
  signal: AbortSignal;
}

/**
 * Sends every backup of this stack that the store lacks, the newest first; one that is taken meanwhile is the next. What the
 * store does wrong is not thrown: the outcome says it. Only for whoever holds the copies' lock.
 */
export async function sendMissingToStore(
  settings: AgentSettings,
  offsite: OffsiteSettings,
  { reader, most, signal }: SendOptions,
  report: Reporter,
): Promise<StoreOutcome> {
  const outcome: StoreOutcome = { store: shownPlace(offsite), sent: [], missing: [], failure: null };
  try {
    const listed = reader && new Map((await listObjects(reader)).map(({ key, bytes }) => [key, bytes]));
    const store = await openWriter(offsite);
    const tried = new Set<string>();
    for (;;) {
      const missing = await missingBackups(settings, store, listed);
      outcome.missing = missing.map(({ manifest }) => manifest.file);
      const next = missing.find(({ manifest }) => !tried.has(manifest.file));
      if (!next || tried.size >= most) break;
      tried.add(next.manifest.file);
      const failure = await sendOrSetAside(settings, store, next, report, signal);
      outcome.failure ??= failure;
      if (failure) continue;
      outcome.sent.push(next.manifest.file);
      const { recipients } = settings;
      const keys = keysFor(store.prefix, next.manifest, recipients);
      const { bytes } = next.manifest;
      const sentBytes = recipients.length > 0 ? await encryptedBytes(recipients, bytes) : bytes;
      if (!next.there.dump) listed?.set(keys.dump, sentBytes);
      listed?.set(keys.globals, 0).set(keys.manifest, 0);
    }
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    outcome.failure ??= error;
  }
  return outcome;
}

/** Returns why one backup cannot be sent: that keeps no other from it. Throws a Stop for a store that is gone, which does. */
async function sendOrSetAside(
  settings: AgentSettings,
  store: ObjectStore,
  { manifest, there, whySetAside }: MissingBackup,
  report: Reporter,
  signal: AbortSignal,
): Promise<Stop | null> {
  const { file, bytes } = manifest;
  if (whySetAside !== null) {
    return new Stop(
      EXIT.unusableBackup,
      `${file} is not sent to ${store.shown}: ${whySetAside}.`,
      "If the file is good, remove the object there, then run `npx budgie push`; if it is not, delete the file.",
    );
  }
  try {
    await sendBackup(settings, store, manifest, there, report, signal);
    report.done(`${file} is in ${store.shown} too (Size: ${humanSize(bytes)})`);
    return null;
  } catch (error) {
    if (!isOwnFault(error)) throw error;
    const key =
      error instanceof Unconfirmed ? error.key : keysFor(store.prefix, manifest, settings.recipients).dump;
    await setAside(settings, file, { key, why: error.message.replace(/\.$/, "") });
    return error;
  }
}

/** The file is not what was recorded, or the store has who knows what of it. */
function isOwnFault(error: unknown): error is Stop {
  return error instanceof Unconfirmed || (error instanceof Stop && error.code === EXIT.unusableBackup);
}
