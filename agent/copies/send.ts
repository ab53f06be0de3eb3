import type { ObjectStore } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { failureBefore } from "../catalogue/last-run.ts";
import type { SshOutcome } from "../ssh/send-missing.ts";
import { withCopiesLock } from "./lock.ts";
import { type Attempt, changeOffsiteState, readOffsiteState } from "./offsite-state.ts";
import type { StoreOutcome } from "./store-send.ts";

/** How many backups a run sends at most, unless `push` asked for all. */
const MOST_UNASKED = 50;

/** How sending came out; null for a place that the stack does not have. */
export interface CopiesOutcome {
  store: StoreOutcome | null;
  ssh: SshOutcome | null;
}

export interface CopiesOptions {
  /** The command that sends, as the status names it. */
  operation: "backup" | "push" | "serve";
  /** See SendOptions. */
  reader: ObjectStore | null;
  /** Ends it between two parts. */
  signal?: AbortSignal;
}

/** Sends what is missing to each place that the stack has. If one place fails, the other gets its copies all the same. */
export async function sendCopies(
  settings: AgentSettings,
  { operation, reader, signal }: CopiesOptions,
  report: Reporter,
): Promise<CopiesOutcome> {
  const { offsite, ssh } = settings;
  if (!offsite && !ssh) return { store: null, ssh: null };
  return withCopiesLock(settings, report, async () => {
    const ends = signal ?? new AbortController().signal;
    const most = operation === "push" ? Number.POSITIVE_INFINITY : MOST_UNASKED;
    const toStore = offsite
      ? async () => {
          const { sendMissingToStore } = await import("./store-send.ts");
          const sent = await sendMissingToStore(settings, offsite, { reader, most, signal: ends }, report);
          const { sendStateToStore } = await import("../state/send.ts");
          return withState(sent, () => sendStateToStore(settings, offsite, report, ends));
        }
      : null;
    const bySsh = ssh
      ? async () => {
          const { sendMissingBySsh } = await import("../ssh/send-missing.ts");
          const sent = await sendMissingBySsh(settings, report, ends);
          const { sendStateBySsh } = await import("../state/send.ts");
          return sent && withState(sent, () => sendStateBySsh(settings, ssh, report, ends));
        }
      : null;
    return {
      store: toStore && (await remembered(settings, "store", operation, toStore)),
      ssh: bySsh && (await remembered(settings, "ssh", operation, bySsh)),
    };
  });
}

/** The stack's state goes where the backups go, after them. Where they could not be sent, it is not tried. */
async function withState<T extends { failure: Stop | null }>(sent: T, send: () => Promise<void>): Promise<T> {
  if (sent.failure) return sent;
  try {
    await send();
    return sent;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return { ...sent, failure: error };
  }
}

/**
 * Sends a backup that was just taken, and what else is missing. Throws a Stop when this one could not be sent. Trouble with others
 * is a warning here, and the status keeps saying it.
 */
export async function sendTaken(settings: AgentSettings, file: string, report: Reporter): Promise<void> {
  const places = await sendCopies(settings, { operation: "backup", reader: null }, report).catch(
    (error: unknown) => {
      report.warn(`${file} is good, and only in ${settings.backupDirShown} so far`);
      throw error;
    },
  );
  const { store, ssh } = places;
  const lacking = [
    ...(store?.missing.includes(file) ? [store.store] : []),
    ...(ssh?.missing.includes(file) ? [ssh.target] : []),
  ];
  if (lacking.length > 0) {
    report.warn(`${file} is good in ${settings.backupDirShown}, and not in ${lacking.join(", nor in ")} yet`);
    requireSent(places, report);
    // It is missing, and nobody said why. Unknown is failure.
    throw new Stop(EXIT.failed, `${file} was not sent.`, "Send it now: npx budgie push");
  }
  for (const { failure } of [store, ssh].filter(place => place !== null))
    if (failure) report.warn(failure.message);
}

/** Throws a Stop when something could not be sent. Where both places failed, the second reason is a warning. */
export function requireSent({ store, ssh }: CopiesOutcome, report: Reporter): void {
  const [first, second] = [store?.failure, ssh?.failure].filter(failure => failure instanceof Stop);
  if (second) report.warn(second.message);
  if (first) throw first;
  const left = store?.missing.length ?? 0;
  if (left > 0)
    report.info(`${left} older backups are still to be sent; the agent goes on with it by itself`);
}

/** Keeps how it ended, so that the next status knows. */
async function remembered<T extends { failure: Stop | null } | null>(
  settings: AgentSettings,
  place: "store" | "ssh",
  operation: string,
  send: () => Promise<T>,
): Promise<T> {
  const startedAt = new Date().toISOString();
  const before = (await readOffsiteState(settings))[place];
  const note = (outcome: Attempt["outcome"], message: string | null) => {
    const finishedAt = outcome === "running" ? null : new Date().toISOString();
    const doneAt = outcome === "done" ? finishedAt : (before?.doneAt ?? null);
    return changeOffsiteState(settings, {
      [place]: { operation, startedAt, finishedAt, outcome, message, doneAt },
    });
  };
  await note("running", failureBefore(before));
  try {
    const result = await send();
    const failure = result?.failure ?? null;
    await note(failure ? "failed" : "done", failure?.message ?? null);
    return result;
  } catch (error) {
    await note("failed", `unexpected: ${(error as Error).message}`);
    throw error;
  }
}
