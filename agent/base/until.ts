import { setTimeout as delay } from "node:timers/promises";

/**
 * Asks again and again until there is an answer, which is anything but null. Throws what `ask` throws, and the reason of
 * `signal` once that aborts.
 */
export async function untilAnswered<T>(
  ask: () => Promise<T | null>,
  everyMs: number,
  signal?: AbortSignal,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== null) return answer;
    await delay(everyMs, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

/** The same with an end: null when there is no answer within `withinMs`. */
export async function answerWithin<T>(
  withinMs: number,
  ask: () => Promise<T | null>,
  everyMs: number,
  signal?: AbortSignal,
): Promise<T | null> {
  const giveUpAt = Date.now() + withinMs;
  const last = await untilAnswered(
    async () => {
      const answer = await ask();
      return answer !== null || Date.now() > giveUpAt ? { answer } : null;
    },
    everyMs,
    signal,
  );
  return last.answer;
}
