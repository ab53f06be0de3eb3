import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";

export interface Patience {
  withinMs?: number;
  everyMs?: number;
  /** What else to say when it did not come, e.g. a log. */
  log?: () => Promise<string> | string;
}

/** Looks again and again until `isSo`; returns what was seen then. Throws what was seen last when the time is over. */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  isSo: (seen: T) => boolean,
  { withinMs = 30_000, everyMs = 50, log }: Patience = {},
): Promise<T> {
  for (const giveUpAt = Date.now() + withinMs; ; await delay(everyMs)) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (Date.now() > giveUpAt) {
      const last = typeof seen === "string" ? seen : inspect(seen, { depth: 6 });
      throw new Error(
        [`Not within ${withinMs / 1000} s: ${what}. Last seen:`, last, ...(log ? [await log()] : [])].join(
          "\n",
        ),
      );
    }
  }
}
