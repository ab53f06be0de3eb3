import { withCopiesLock } from "./copies-lock.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { ObjectStore } from "./object-store.ts";
import { type Attempt, changeOffsiteState } from "./offsite-state.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import type { SshOutcome } from "./ssh-send-missing.ts";
import type { StoreOutcome } from "./store-send.ts";

/** How many backups one run sends that nobody asked for by `push`. */
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

/** Sends what is missing to each place that the stack has. One place that fails does not keep the other from its copies. */
export async function sendCopies(
  settings: AgentSettings,
  { operation, reader, signal }: CopiesOptions,
  report: Reporter,
): Promise<CopiesOutcome> {
  const { offsite, ssh } = settings;
  if (!offsite && !ssh) return { store: null, ssh: null };
  return withCopiesLock(settings, report, async lost => {
    const ends = signal ? AbortSignal.any([lost, signal]) : lost;
    const most = operation === "push" ? Number.POSITIVE_INFINITY : MOST_UNASKED;
    const toStore = offsite
      ? async () => {
          const { sendMissingToStore } = await import("./store-send.ts");
          return sendMissingToStore(settings, offsite, { reader, most, signal: ends }, report);
        }
      : null;
    const bySsh = ssh
      ? async () => {
          const { sendMissingBySsh } = await import("./ssh-send-missing.ts");
          return sendMissingBySsh(settings, report, ends);
        }
      : null;
    return {
      store: toStore && (await remembered(settings, "store", operation, toStore)),
      ssh: bySsh && (await remembered(settings, "ssh", operation, bySsh)),
    };
  });
}

/**
 * Sends a backup that was just taken, and what else is missing. Throws a Stop when this one could not be sent; what is wrong
 * with others is a warning here, and the status keeps saying it.
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
    // Unknown is failure: it is missing, and nobody said why.
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
  const note = (outcome: Attempt["outcome"], message: string | null) =>
    changeOffsiteState(settings, {
      [place]: {
        operation,
        startedAt,
        finishedAt: outcome === "running" ? null : new Date().toISOString(),
        outcome,
        message,
      },
    });
  await note("running", null);
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
