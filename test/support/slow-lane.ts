import { describe, it } from "vitest";

/**
 * For tests that take long, and whose neighbours in the same file would notice most faults as well. They run with `SLOW=1`: before a
 * release, and after a change of what they are about. All of them together would make a run last for two hours on two cores.
 */
export const SLOW = process.env.SLOW === "1";
export const itSlowly = it.runIf(SLOW);
export const describeSlowly = describe.runIf(SLOW);
