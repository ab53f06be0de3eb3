import { shownPlace } from "../../object-store/client.ts";
import type { AgentSettings, OffsiteSettings } from "../../shared/agent-settings.ts";
import { backupsToCopy } from "../catalogue/backups-to-copy.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { unrecordedCopies } from "../ssh/missing.ts";
import { type Attempt, readOffsiteState } from "./offsite-state.ts";
import { missingBackups } from "./store-missing.ts";

/** A copy that takes longer counts as missing, whatever the newest attempt said. */
const LATE_AFTER_MS = 60 * 60 * 1000;

export interface CopiesStatus {
  /** The object store; null where the stack has none. */
  offsite: {
    kind: OffsiteSettings["kind"];
    /** `http://store:9000/budgie-backups` */
    store: string;
    /** How many backups are to be there and are not, as far as the manifests know. */
    missing: number;
    lastAttempt: Attempt | null;
  } | null;
  /** The server that is reached over ssh; null where the stack has none. */
  offsiteSsh: { target: string; missing: number; lastAttempt: Attempt | null } | null;
}

/** The state of the copies, from the records here: no store is asked. Adds to `problems` what is not as it should be. */
export async function readCopiesStatus(
  settings: AgentSettings,
  problems: string[],
  now: Date,
): Promise<CopiesStatus> {
  const state = await readOffsiteState(settings);
  const { offsite, ssh } = settings;
  const status: CopiesStatus = { offsite: null, offsiteSsh: null };
  if (offsite) {
    const store = shownPlace(offsite);
    const missing = (await missingBackups(settings, { shown: store, prefix: offsite.prefix }, null)).map(
      ({ manifest }) => manifest,
    );
    status.offsite = { kind: offsite.kind, store, missing: missing.length, lastAttempt: state.store };
    problems.push(...judgeCopies(store, missing, state.store, now));
  }
  if (ssh) {
    const missing = unrecordedCopies(await backupsToCopy(settings), ssh.target);
    status.offsiteSsh = { target: ssh.target, missing: missing.length, lastAttempt: state.ssh };
    problems.push(...judgeCopies(ssh.target, missing, state.ssh, now));
  }
  return status;
}

/** What is not wrong but worth knowing: where the copies are less safe than they could be. */
export function copiesWarnings({ offsite, ssh }: AgentSettings): string[] {
  if (offsite) return offsite.lacks;
  if (ssh) return [];
  return [
    "Every backup is on this machine only: budgie:objectStore is none, and budgie:offsiteSsh is not set.",
  ];
}

export function judgeCopies(
  place: string,
  missing: readonly Pick<Manifest, "file" | "finishedAt">[],
  last: Attempt | null,
  now: Date,
): string[] {
  const count = missing.length === 1 ? "1 backup is" : `${missing.length} backups are`;
  // While it is tried again, what the last one failed of still holds.
  if (last && last.outcome !== "done" && last.message !== null) {
    const what = missing.length === 0 ? `The copies in ${place}` : `${count} not in ${place}`;
    return [`${what}: ${last.message}`];
  }
  const oldest = missing.at(-1);
  if (!oldest || now.getTime() - new Date(oldest.finishedAt).getTime() <= LATE_AFTER_MS) return [];
  return [
    `${count} not in ${place}, the oldest of them ${oldest.file}, after more than an hour. Send now: npx budgie push`,
  ];
}
