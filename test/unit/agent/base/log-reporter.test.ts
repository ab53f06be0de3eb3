import { expect, it } from "vitest";
import { logReporter } from "../../../../agent/base/log-reporter.ts";
import { inLogRun } from "../../../../agent/base/log-run.ts";

function logged() {
  const lines: string[] = [];
  const report = logReporter("prod", { write: line => void lines.push(line) });
  return { report, read: () => lines.map(line => JSON.parse(line)) };
}

it("each line is one JSON object with level, time, stack and message", () => {
  const { report, read } = logged();
  report.info("begins");
  report.done("is done");
  report.warn("is\nwrong");
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  expect(read()).toEqual([
    { level: "info", time, stack: "prod", msg: "begins" },
    { level: "info", time, stack: "prod", done: true, msg: "is done" },
    { level: "warn", time, stack: "prod", msg: "is\nwrong" },
  ]);
});

it("the lines of a run carry its id, those of another run another one, and those between none", async () => {
  const { report, read } = logged();
  const twice = (operation: string) =>
    inLogRun(operation, async () => {
      report.info("one");
      await inLogRun("within", async () => report.done("two"));
    });
  await Promise.all([twice("scheduled backup"), twice("sending copies")]);
  report.info("between");
  const lines = read();
  const runs = (operation: string) =>
    lines.filter(line => line.operation === operation).map(({ run }) => run);
  const [backup, copies] = [runs("scheduled backup"), runs("sending copies")];
  expect([backup.length, copies.length]).toEqual([2, 2]);
  expect(new Set(backup).size).toBe(1);
  expect(backup[0]).toMatch(/^[0-9a-f]{8}$/);
  expect(backup[0]).not.toBe(copies[0]);
  expect(lines.at(-1)).not.toHaveProperty("run");
});
