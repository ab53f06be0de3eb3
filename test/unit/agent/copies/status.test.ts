import { describe, expect, it } from "vitest";
import type { Attempt } from "../../../../agent/copies/offsite-state.ts";
import { copiesWarnings, judgeCopies } from "../../../../agent/copies/status.ts";
import type { AgentSettings } from "../../../../shared/agent-settings.ts";

const NOW = new Date("2026-11-22T14:00:00Z");
const missing = (file: string, minutesAgo: number) => ({
  file,
  finishedAt: new Date(NOW.getTime() - minutesAgo * 60_000).toISOString(),
});
const attempt = (change: Partial<Attempt>): Attempt => ({
  operation: "serve",
  startedAt: NOW.toISOString(),
  finishedAt: NOW.toISOString(),
  outcome: "done",
  message: null,
  doneAt: null,
  ...change,
});

describe("the copies are judged", () => {
  it("fine when none is missing, or those that are missing are fresh", () => {
    expect(judgeCopies("the store", [], attempt({}), NOW)).toEqual([]);
    expect(judgeCopies("the store", [missing("new.sql", 20)], null, NOW)).toEqual([]);
  });

  it("wrong as soon as an attempt has failed", () => {
    const failed = attempt({ outcome: "failed", message: "It is down." });
    expect(judgeCopies("the store", [missing("new.sql", 1)], failed, NOW)).toEqual([
      "1 backup is not in the store: It is down.",
    ]);
    expect(judgeCopies("the store", [], failed, NOW)).toEqual(["The copies in the store: It is down."]);
  });

  it("still wrong while it is tried again, so that nobody is told every five minutes that all is well", () => {
    const again = attempt({ outcome: "running", finishedAt: null, message: "It is down." });
    expect(judgeCopies("the store", [missing("new.sql", 1)], again, NOW)).toEqual([
      "1 backup is not in the store: It is down.",
    ]);
  });

  it("wrong when one is missing for more than an hour, whatever was said of it", () => {
    const twice = [missing("new.sql", 5), missing("old.sql", 61)];
    const running = attempt({ outcome: "running", finishedAt: null });
    for (const last of [null, attempt({}), running]) {
      expect(judgeCopies("the store", twice, last, NOW)).toEqual([
        "2 backups are not in the store, the oldest of them old.sql, after more than an hour. Send now: npx budgie push",
      ]);
    }
  });
});

describe("what is less safe than it could be is said", () => {
  const settings = (offsite: unknown, ssh: unknown) => ({ offsite, ssh }) as AgentSettings;

  it("of a store that lacks something, in its own words", () => {
    expect(copiesWarnings(settings({ lacks: ["It keeps no versions."] }, null))).toEqual([
      "It keeps no versions.",
    ]);
  });

  it("where there is no copy at all", () => {
    expect(copiesWarnings(settings(null, null))[0]).toMatch(/on this machine only/);
    expect(copiesWarnings(settings(null, { target: "ssh://a@b/c" }))).toEqual([]);
  });
});
