import type { Stop } from "../../shared/exit-codes.ts";

/** A server that answers nothing for this long is given up. */
export const SILENCE_MS = 30_000;

export type Answer<T> = (error?: Error | null, value?: T) => void;

/**
 * Puts one question, and returns its answer. Throws an error that the server answered, and a Stop when the connection ends first.
 * The connection also ends when no question at all was answered for `silenceMs`.
 */
export type Ask = <T>(put: (answer: Answer<T>) => void, silenceMs?: number) => Promise<T>;

/**
 * Makes sure that every question ends. ssh2 alone may wait for ever: for a server that keeps the connection up and does nothing, and
 * for the answer to a question that it could not send. `end` ends all open questions, and each that is put later.
 */
export function questions(silent: (seconds: number) => Stop): { ask: Ask; end(why: Stop): void } {
  // One promise for all of them to race with would keep every question ever put in memory.
  const open = new Set<(why: unknown) => void>();
  let ended: Stop | null = null;
  let answers = 0;

  const end = (why: Stop) => {
    ended ??= why;
    for (const fail of open) fail(ended);
  };
  const ask: Ask = (put, silenceMs = SILENCE_MS) =>
    new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      let before = answers;
      const timer = setInterval(() => {
        if (answers === before) end(silent(Math.round(silenceMs / 1000)));
        before = answers;
      }, silenceMs);
      const close = () => {
        clearInterval(timer);
        open.delete(fail);
      };
      const fail = (why: unknown) => {
        close();
        reject(why);
      };
      open.add(fail);
      try {
        put((error, value) => {
          answers++;
          if (error) return fail(error);
          close();
          resolve(value as never);
        });
      } catch (error) {
        fail(error);
      }
    });

  return { ask, end };
}
