import { describe, expect, it } from "vitest";
import { restartsInALoop } from "../../../../scripts/stack/restart-loop.ts";

const NOW = new Date("2026-11-26T12:00:00Z");
const secondsAgo = (seconds: number) => new Date(NOW.getTime() - seconds * 1000).toISOString();
const running = (startedSecondsAgo: number, RestartCount: number) => ({
  RestartCount,
  State: { Status: "running", Running: true, Restarting: false, StartedAt: secondsAgo(startedSecondsAgo) },
});

describe("a backend that restarts in a loop", () => {
  it.each([
    [
      "waits for its next start",
      { RestartCount: 9, State: { Status: "restarting", Running: true, Restarting: true } },
    ],
    ["waits for its first restart", { RestartCount: 1, State: { Status: "restarting", Restarting: true } }],
    ["runs for the moment", running(1, 7)],
    ["holds out for a minute each time", running(50, 3)],
  ])("%s", (_what, inspected) => {
    expect(restartsInALoop(inspected, NOW)).toBe(true);
  });

  it.each([
    ["never ended", running(1, 0)],
    ["ended once, as after a lack of memory", running(30, 1)],
    ["has got over it", running(3600, 12)],
    [
      "is stopped",
      { RestartCount: 12, State: { Status: "exited", Running: false, StartedAt: secondsAgo(9) } },
    ],
    ["is of an engine that counts no restarts", { State: { Running: true, StartedAt: secondsAgo(1) } }],
  ])("is none that %s", (_what, inspected) => {
    expect(restartsInALoop(inspected, NOW)).toBe(false);
  });
});
