import { type ObjectStore, openWriter, shownPlace } from "../../object-store/client.ts";
import type { AgentSettings, OffsiteSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { encryptedBytes } from "../encryption/encrypt.ts";
import { Unconfirmed } from "../store/checked-put.ts";
import { listObjects } from "../store/remote-objects.ts";
import type { Sending } from "../store/upload.ts";
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
 * Sends every backup of this stack that the store lacks, the newest first; a backup that is taken meanwhile comes next. A failure
 * of the store is not thrown: it is in the outcome. Only for whoever holds the copies' lock.
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
    const sending = { settings, store, report, signal };
    const tried = new Set<string>();
    for (;;) {
      const missing = await missingBackups(settings, store, listed);
      outcome.missing = missing.map(({ manifest }) => manifest.file);
      const next = missing.find(({ manifest }) => !tried.has(manifest.file));
      if (!next || tried.size >= most) break;
      tried.add(next.manifest.file);
      const failure = await sendOrSetAside(sending, next);
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

/** Returns why this one backup cannot be sent: others can be all the same. Throws a Stop when the store is gone, which ends all. */
async function sendOrSetAside(
  sending: Sending,
  { manifest, there, whySetAside }: MissingBackup,
): Promise<Stop | null> {
  const { settings, store, report } = sending;
  const { file, bytes } = manifest;
  if (whySetAside !== null) {
    return new Stop(
      EXIT.unusableBackup,
      `${file} is not sent to ${store.shown}: ${whySetAside}.`,
      "If the file is good, remove the object there, then run `npx budgie push`; if it is not, delete the file.",
    );
  }
  try {
    await sendBackup(sending, manifest, there);
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

/** The file is not what was recorded, or nobody knows what the store has of it. */
function isOwnFault(error: unknown): error is Stop {
  return error instanceof Unconfirmed || (error instanceof Stop && error.code === EXIT.unusableBackup);
}
