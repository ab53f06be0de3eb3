import { dropLeftAtServer } from "../server/candidate.ts";
import { carryOver } from "./candidate.ts";
import { fillAsItIs } from "./fill-as-it-is.ts";
import { fillFromForeign } from "./fill-from-foreign.ts";
import type { Filled, Filling, RestoreOptions, Restoring } from "./restoring.ts";

/**
 * Fills the candidate, compares it, and runs `finish`, which gives it its place or looks at it. Leaves nothing behind at a failure.
 * What a kill leaves, the next operation clears away before it begins.
 */
export async function withFilledCandidate<T>(
  restoring: Restoring,
  { trustFile }: RestoreOptions,
  filling: Filling,
  finish: (filled: Filled) => Promise<T>,
): Promise<T> {
  const { settings, lock } = restoring;
  await dropLeftAtServer(lock.session, settings);
  try {
    // A mask runs with the rights of whoever loads, and must have none outside of the candidate.
    const asItIs = (filling.source.authentic || trustFile) && !filling.mask;
    const fill = asItIs ? fillAsItIs : fillFromForeign;
    const filled = await fill(restoring, filling);
    await carryOver(lock.session, settings, filling.candidate);
    return await finish(filled);
  } catch (error) {
    // Why it failed matters more than what stays: the next operation clears that away.
    await dropLeftAtServer(lock.session, settings).catch(() => undefined);
    throw error;
  }
}
