import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { readableLine, readableLines } from "../../../../scripts/terminal/readable-log.ts";

const AT = "2026-11-26T02:00:01.000Z";

describe("a line of a log is shown as a person reads it", () => {
  it.each([
    [
      "what was done",
      { level: "info", time: AT, stack: "prod", done: true, msg: "Backup created" },
      "[✓] Backup created",
    ],
    ["what goes on", { level: "info", time: AT, msg: "Dumping" }, "[i] Dumping"],
    ["a warning", { level: "warn", time: AT, msg: "No copy was sent" }, "[!] No copy was sent"],
    [
      "a request of the API",
      {
        level: 30,
        time: Date.parse(AT),
        msg: "request completed",
        req: { method: "GET", path: "/api/x" },
        res: { statusCode: 200 },
      },
      "[i] request completed (GET /api/x 200)",
    ],
    [
      "a failure of the API, without its stack",
      { level: 50, time: Date.parse(AT), msg: "failed", err: { message: "no connection", stack: "at x" } },
      "[!] failed (no connection)",
    ],
  ])("%s", (_name, line, shown) => {
    expect(readableLine(JSON.stringify(line))).toBe(`${AT} ${shown}`);
  });

  it("with the engine's own time, where that is asked for", () => {
    const line = JSON.stringify({ level: "info", time: AT, msg: "Dumping" });
    expect(readableLine(`2026-11-26T02:00:01.123456789Z ${line}`)).toBe(
      "2026-11-26T02:00:01.123456789Z [i] Dumping",
    );
  });

  it.each(["LOG:  checkpoint complete", '{"half": ', '{"other":"json"}', "", "[]"])(
    "and %j, which is none of ours, stays as it is",
    line => {
      expect(readableLine(line)).toBe(line);
    },
  );
});

it("lines are put together from whatever pieces come, and the last one needs no end", async () => {
  const log = Buffer.from(
    `${JSON.stringify({ level: "info", time: AT, done: true, msg: "für alle ✓" })}\nplain\nrest`,
  );
  for (let at = 1; at < log.length; at++) {
    const lines = readableLines();
    lines.write(log.subarray(0, at));
    lines.end(log.subarray(at));
    expect(await text(lines)).toBe(`${AT} [✓] für alle ✓\nplain\nrest`);
  }
});
