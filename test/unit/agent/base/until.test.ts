import { expect, it } from "vitest";
import { answerWithin, untilAnswered } from "../../../../agent/base/until.ts";

it("asks until there is an answer", async () => {
  const answers = [null, null, "ready"];
  expect(await untilAnswered(async () => answers.shift() ?? null, 1)).toBe("ready");
});

it("gives up in time, after one answer at least", async () => {
  expect(await answerWithin(10, async () => null, 1)).toBeNull();
  expect(await answerWithin(-1, async () => "ready", 1)).toBe("ready");
});

it("ends with the signal's reason while it waits", async () => {
  const stop = new AbortController();
  const asking = untilAnswered(async () => null, 60_000, stop.signal);
  stop.abort(new Error("told to stop"));
  await expect(asking).rejects.toThrow("told to stop");
});
