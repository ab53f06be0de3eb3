/**
 * Reads up to `limit` bytes ahead of whoever takes them, so that the source goes on with its work meanwhile. Keeps copies, because
 * the source may use its memory again.
 */
export function readAhead(source: AsyncIterable<Buffer>, limit: number): AsyncIterable<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  let ended = false;
  let failure: unknown;
  let changed = () => {};
  const wait = () =>
    new Promise<void>(resolve => {
      changed = resolve;
    });
  const pump = (async () => {
    for await (const part of source) {
      parts.push(Buffer.from(part));
      bytes += part.length;
      changed();
      while (bytes >= limit) await wait();
    }
  })();
  pump
    .catch(error => {
      failure = error;
    })
    .finally(() => {
      ended = true;
      changed();
    });
  return {
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const part = parts.shift();
        if (part) {
          bytes -= part.length;
          changed();
          yield part;
        } else if (ended) {
          if (failure) throw failure;
          return;
        } else {
          await wait();
        }
      }
    },
  };
}
