import Docker from "dockerode";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { lastLines } from "../../../../components/steps/main.ts";

/** A piece of a log as engines frame it: 1 is standard output, 2 standard error. */
function frame(stream: 1 | 2, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

const { modem } = new Docker();
const logging = (log: Buffer) => ({ logs: async () => log, modem }) as unknown as Docker.Container;

describe("the log that a failed step shows", () => {
  it("is readable, both streams in order", async () => {
    const log = Buffer.concat([frame(1, "listening\n"), frame(2, "häuslich\n")]);
    expect(await lastLines(logging(log), 10)).toBe("listening\nhäuslich");
  });

  it("shows no secret", async () => {
    const log = frame(2, "cannot log in with canary-1 or canary-2\n");
    expect(await lastLines(logging(log), 10, ["canary-1", "canary-2", ""])).toBe(
      "cannot log in with *** or ***",
    );
  });

  it("is said to be empty when it is", async () => {
    expect(await lastLines(logging(Buffer.alloc(0)), 10)).toBe("(it wrote nothing)");
  });
});

describe("a step", () => {
  it("whose input is broken shows nothing of it: it holds a password", async () => {
    const run = await execa("node", ["--import", "tsx", "components/database-ready.ts"], {
      input: '{"password":"canary"',
      reject: false,
      all: true,
    });
    expect(run.exitCode).toBe(1);
    expect(run.all).toBe(
      "The step's input is not JSON. Steps are run by Pulumi.\nWhat to type next:\n  npm run pulumi -- up",
    );
  });

  it("whose engine is gone fails with one clear message", async () => {
    const input = { engine: "unix:///nonexistent/engine.sock", container: "x", password: "canary" };
    const run = await execa("node", ["--import", "tsx", "components/database-ready.ts"], {
      input: JSON.stringify(input),
      reject: false,
      all: true,
    });
    expect(run.exitCode).toBe(1);
    expect(run.all).toBe(
      "The container engine does not answer: connect ENOENT /nonexistent/engine.sock.\n" +
        "What to type next:\n  npm run up",
    );
  });
});
