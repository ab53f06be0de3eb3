import { spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "vitest";
import { tolerantInput } from "../../../../agent/base/tolerant-input.ts";

const CHUNKS = ["a", "b", "c"].map(text => Buffer.from(text));

describe("a program's input", () => {
  it("gets everything, and its end", async () => {
    const input = new PassThrough();
    const [read] = await Promise.all([buffer(input), pipeline(Readable.from(CHUNKS), tolerantInput(input))]);
    expect(read.toString()).toBe("abc");
  });

  it("of a program that has ended swallows the rest of the file", async () => {
    const program = spawn("true", { stdio: ["pipe", "ignore", "ignore"] });
    await once(program, "exit");
    const source = Readable.from(CHUNKS);
    await pipeline(source, tolerantInput(program.stdin));
    expect(source.readableEnded).toBe(true);
  });

  it("of a program that ends after the last byte, and before the file's end is told, ends as well", async () => {
    const input = new PassThrough();
    input.resume();
    const source = Readable.from(
      (async function* () {
        yield* CHUNKS;
        input.destroy();
      })(),
    );
    await pipeline(source, tolerantInput(input));
    expect(source.readableEnded).toBe(true);
  });
});
