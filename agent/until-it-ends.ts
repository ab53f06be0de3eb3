import { Writable } from "node:stream";

/**
 * A program's input. What the program does not read any more is swallowed: the file is read to its end, and the program's exit says the
 * rest. pg_restore ends before its input does, and Node then destroys the input, whose `end` never calls back.
 */
export function untilItEnds(input: Writable): Writable {
  input.on("error", () => undefined);
  return new Writable({
    highWaterMark: 1 << 20,
    write: (chunk: Buffer, _encoding, next) => void input.write(chunk, () => next()),
    final: next => {
      if (input.destroyed) next();
      else input.end(() => next());
    },
  });
}
