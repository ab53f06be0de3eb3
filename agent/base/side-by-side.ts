/** Things that go on side by side. The first failure ends the others. */
export interface SideBySide {
  /** Aborts with the first failure, and with the reason of the signal that was given. Each of the things must heed it. */
  signal: AbortSignal;
  /** Makes `work` one of them, and returns it. */
  add<T>(work: Promise<T>): Promise<T>;
  /** Waits for the end of each. Throws the first failure. */
  ended(): Promise<void>;
}

export function sideBySide(given: AbortSignal): SideBySide {
  const failed = new AbortController();
  const all: Promise<unknown>[] = [];
  return {
    signal: AbortSignal.any([given, failed.signal]),
    add(work) {
      work.catch(error => failed.abort(error));
      all.push(work);
      return work;
    },
    async ended() {
      await Promise.allSettled(all);
      failed.signal.throwIfAborted();
    },
  };
}
