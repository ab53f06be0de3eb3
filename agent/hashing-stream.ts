import { createHash } from "node:crypto";
import { Transform } from "node:stream";

/** Passes chunks on as they are, and knows the sha256 of what passed once it has ended. */
export function hashingStream(): { stream: Transform; sha256: () => string } {
  const hash = createHash("sha256");
  const stream = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      next(null, chunk);
    },
  });
  return { stream, sha256: () => hash.digest("hex") };
}
