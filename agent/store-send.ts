import { Unconfirmed } from "./checked-put.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { objectKeys } from "./object-key.ts";
import { type ObjectStore, openWriter, shownPlace } from "./object-store.ts";
import { listObjects } from "./remote-objects.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import type { AgentSettings, OffsiteSettings } from "./settings.ts";
import { sendBackup } from "./store-copy.ts";
import { type MissingBackup, missingBackups, setAside } from "./store-missing.ts";

/** What is missing beyond that is left to the next run, so that one run ends. */
const MOST_PER_RUN = 50;

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
  signal: AbortSignal;
}

/**
 * Sends every backup of this stack that the store lacks, the newest first; one that is taken meanwhile is the next. What the
 * store does wrong is not thrown: the outcome says it. Only for whoever holds the copies' lock.
 */
export async function sendMissingToStore(
  settings: AgentSettings,
  offsite: OffsiteSettings,
  { reader, signal }: SendOptions,
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
      if (!next || tried.size === MOST_PER_RUN) break;
      tried.add(next.manifest.file);
      if (!(await sendOrSetAside(settings, store, next, outcome, report, signal))) continue;
      const keys = objectKeys(store.prefix, next.manifest);
      listed?.set(keys.dump, next.manifest.bytes).set(keys.manifest, 0);
    }
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    outcome.failure ??= error;
  }
  return outcome;
}

/** One backup that cannot be sent does not keep the others from it; a store that is gone does. */
async function sendOrSetAside(
  settings: AgentSettings,
  store: ObjectStore,
  backup: MissingBackup,
  outcome: StoreOutcome,
  report: Reporter,
  signal: AbortSignal,
): Promise<boolean> {
  const { manifest, there, whySetAside } = backup;
  const { file } = manifest;
  if (whySetAside !== null) {
    outcome.failure ??= new Stop(
      EXIT.unusableBackup,
      `${file} is not sent to ${store.shown}: ${whySetAside}.`,
      "If the file is good, remove the object there, then run `npx budgie push`; if it is not, delete the file.",
    );
    return false;
  }
  try {
    await sendBackup(settings, store, manifest, there, report, signal);
  } catch (error) {
    if (!(error instanceof Unconfirmed) && !isUnusable(error)) throw error;
    await setAside(settings, file, error.message.replace(/\.$/, ""));
    outcome.failure ??= error;
    return false;
  }
  outcome.sent.push(file);
  report.done(`${file} is in ${store.shown} too (Size: ${humanSize(manifest.bytes)})`);
  return true;
}

function isUnusable(error: unknown): error is Stop {
  return error instanceof Stop && error.code === EXIT.unusableBackup;
}
