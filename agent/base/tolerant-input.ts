import { Writable } from "node:stream";

/**
 * The input of a program that may end before its input does, as pg_restore does. What the program no longer reads is swallowed, so
 * the file is read to its end, and the program's exit says the rest. Node destroys such an input, and its `end` never calls back.
 */
export function tolerantInput(input: Writable): Writable {
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
