import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { metricsText } from "../../agent/show/metrics.ts";
import type { Status } from "../../agent/status/status.ts";
import { statusLine, verdictOf } from "../../shared/status-lines.ts";
import { prometheus } from "../../toolchain/machine/prometheus.ts";
import { status } from "../support/status/status.ts";

const RULES = resolve("docs/monitoring/alerts.yml");
/** promtool's clock begins here. */
const START = Date.parse("1970-01-01T00:00:00Z");
const BUILT_WITHIN_MS = 1_800_000;

let promtool: string;
let folder: string;
beforeAll(async () => {
  ({ promtool } = await prometheus());
  folder = await mkdtemp(join(tmpdir(), "budgie-test-rules-"));
}, BUILT_WITHIN_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

it("promtool takes the alert rules", async () => {
  const { all, exitCode } = await execa(promtool, ["check", "rules", RULES], { reject: false, all: true });
  expect(exitCode, all).toBe(0);
});

const hours = (count: number) => new Date(START + count * 3_600_000).toISOString();
const bad = [statusLine("disk", { figure: "1M", problems: ["The disk is nearly full."] })];
const usual = status({ at: new Date(START).toISOString(), lastRun: null });
const { backups, pointInTime, server, offsite, collectors } = usual;
const [slot] = server?.slots ?? [];

interface Case {
  alert: string;
  /** What differs from a status in which everything is well. */
  differs?: Partial<Status>;
  /** What differs in the text that is scraped. */
  scraped?: (text: string) => string;
  /** Minutes until the alert fires, of the wrong state; a minute before it does not. */
  after: number;
}

const withReplica = (differs: object) =>
  ({
    server: { ...server, replicas: server?.replicas.map(replica => ({ ...replica, ...differs })) },
  }) as Partial<Status>;

const CASES: Case[] = [
  { alert: "BudgieNotFine", differs: { lines: bad, verdict: verdictOf(bad), fine: false }, after: 5 },
  {
    alert: "BudgieAgentGone",
    scraped: () => "",
    after: 10,
  },
  {
    alert: "BudgieAgentHangs",
    scraped: text =>
      text.replace(/^budgie_status_timestamp_seconds .*$/m, "budgie_status_timestamp_seconds 0 # stays"),
    after: 11,
  },
  {
    alert: "BudgieBackupOld",
    differs: { backups: { ...backups, newest: { ...backups.newest, finishedAt: hours(-29) } as never } },
    after: 10,
  },
  { alert: "BudgieBackupMissing", differs: { backups: { ...backups, newest: null } }, after: 60 },
  {
    alert: "BudgieBackupOverdue",
    differs: { next: { at: hours(-3), due: hours(-3), why: "due" } },
    after: 10,
  },
  {
    alert: "BudgieRefreshOverdue",
    differs: {
      refresh: { from: "prod", source: "../prod/backups", next: { at: hours(-3), due: hours(-3) } } as never,
    },
    after: 10,
  },
  {
    alert: "BudgieRunFailed",
    differs: {
      lastRun: {
        operation: "backup",
        startedAt: hours(-1),
        finishedAt: hours(-1),
        outcome: "failed",
        message: "No space.",
      },
    },
    after: 0,
  },
  {
    alert: "BudgieProofOld",
    differs: {
      backups: { ...backups, newestProven: { ...backups.newestProven, provenAt: hours(-241) } as never },
    },
    after: 60,
  },
  {
    alert: "BudgieProofMissing",
    differs: {
      // As if a backup had been taken in each night.
      backups: {
        ...backups,
        newest: { ...backups.newest, finishedAt: hours(20) } as never,
        newestProven: null,
      },
      next: { at: hours(44), due: hours(44), why: "due" },
    },
    after: 26 * 60,
  },
  { alert: "BudgieCopiesPending", differs: { offsite: { ...offsite, missing: 2 } as never }, after: 120 },
  {
    alert: "BudgieWalNotReceived",
    differs: { pointInTime: { ...pointInTime, receiving: false } as never },
    after: 15,
  },
  {
    alert: "BudgieWalLags",
    differs: { pointInTime: { ...pointInTime, slotLagBytes: 200 << 20 } as never },
    after: 15,
  },
  {
    alert: "BudgiePointInTimeDamaged",
    differs: { pointInTime: { ...pointInTime, damaged: 1 } as never },
    after: 0,
  },
  {
    alert: "BudgiePointInTimeNotProven",
    differs: {
      pointInTime: { ...pointInTime, drill: { ...pointInTime?.drill, at: hours(-217) } } as never,
    },
    after: 0,
  },
  { alert: "BudgieReplicaAway", differs: withReplica({ state: null }), after: 10 },
  { alert: "BudgieReplicaLags", differs: withReplica({ lagBytes: 300 << 20 }), after: 15 },
  {
    alert: "BudgieSlotHoldsWal",
    differs: {
      server: { ...server, slots: [{ ...slot, active: false, retainedBytes: 300 << 20 }] } as never,
    },
    after: 15,
  },
  { alert: "BudgieDiskFilling", differs: { backups: { ...backups, freeBytes: 10_000_000 } }, after: 15 },
  { alert: "BudgieConnectionsFull", differs: { server: { ...server, connections: 95 } as never }, after: 15 },
  { alert: "BudgieDamagedPages", differs: { server: { ...server, damagedPages: 1 } as never }, after: 0 },
  {
    alert: "BudgieCollectorFails",
    differs: { collectors: { ...collectors, server: false } },
    after: 10,
  },
];

describe("an alert", () => {
  it("is tried here for each rule", async () => {
    const rules = (
      parse(await readFile(RULES, "utf8")) as { groups: { rules: { alert: string }[] }[] }
    ).groups.flatMap(group => group.rules.map(rule => rule.alert));
    expect(CASES.map(({ alert }) => alert).sort()).toEqual(rules.sort());
  });

  it("is none while everything is well, for a day", async () => {
    await tryRules(usual, text => text, [
      { minutes: 0, firing: [] },
      { minutes: 60, firing: [] },
      { minutes: 20 * 60, firing: [] },
    ]);
  });

  it.each(CASES.map(one => [one.alert, one] as const))(
    "%s fires when it should, and not before",
    async (_, one) => {
      await tryRules({ ...usual, ...one.differs }, one.scraped ?? (text => text), [
        ...(one.after > 0 ? [{ minutes: one.after - 1, not: one.alert }] : []),
        { minutes: one.after, firing: [one.alert] },
      ]);
    },
  );
});

type Moment = { minutes: number } & ({ firing: string[] } | { not: string });

/** Lets promtool evaluate the rules on what is scraped of `shown`, minute by minute. */
async function tryRules(
  shown: Status,
  scraped: (text: string) => string,
  moments: readonly Moment[],
): Promise<void> {
  const minutes = Math.max(...moments.map(moment => moment.minutes)) + 5;
  const text = scraped(await metricsText({ seen: { status: shown, backups: [] } }));
  const test = {
    rule_files: [RULES],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: text
          .split("\n")
          .filter(line => line !== "" && !line.startsWith("#"))
          .map(line => seriesOf(line, minutes)),
        promql_expr_test: moments.map(moment => ({
          expr:
            "firing" in moment
              ? 'count by (alertname) (ALERTS{alertstate="firing"})'
              : `count by (alertname) (ALERTS{alertstate="firing", alertname="${moment.not}"})`,
          eval_time: `${moment.minutes}m`,
          exp_samples:
            "firing" in moment
              ? moment.firing.map(alert => ({ labels: `{alertname="${alert}"}`, value: 1 }))
              : [],
        })),
      },
    ],
  };
  const file = join(folder, "test.yml");
  await writeFile(file, stringify(test));
  const { all, exitCode } = await execa(promtool, ["test", "rules", file], { reject: false, all: true });
  expect(exitCode, all).toBe(0);
}

/** A line as it is scraped, as a series that stays as it is; but a living agent says each minute that it has looked. */
function seriesOf(line: string, minutes: number): { series: string; values: string } {
  const [, name = "", labels = "", value = ""] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
  const where = [...(labels ? [labels] : []), 'instance="127.0.0.1:8617"', 'job="budgie"'].join(",");
  const moves = name === "budgie_status_timestamp_seconds" && !line.endsWith("# stays");
  return { series: `${name}{${where}}`, values: moves ? `${value}+60x${minutes}` : `${value}x${minutes}` };
}
