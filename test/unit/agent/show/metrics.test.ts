import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { METRICS, metricsText } from "../../../../agent/show/metrics.ts";
import { status } from "../../../support/status/status.ts";

const scrape = (differs: Parameters<typeof status>[0] = {}) =>
  metricsText({ seen: { status: status(differs), backups: [] } });

/** By name and labels, as they are written. */
const samples = (text: string) =>
  new Map(
    text
      .split("\n")
      .filter(line => line !== "" && !line.startsWith("#"))
      .map(line => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );

describe("the metrics", () => {
  it("have moments in seconds, sizes in bytes, and no label of a backup", async () => {
    const at = "2026-11-22T07:00:00.000Z";
    const text = await scrape({ at });
    const found = samples(text);
    expect(found.get("budgie_status_timestamp_seconds")).toBe(Date.parse(at) / 1000);
    expect(found.get("budgie_backup_last_success_timestamp_seconds")).toBe(
      Date.parse("2026-11-22T02:00:36Z") / 1000,
    );
    expect(found.get("budgie_database_size_bytes")).toBe(8_700_000);
    expect(found.get('budgie_collector_success{collector="database"}')).toBe(1);
    expect(found.get('budgie_replication_slot_retained_bytes{slot="budgie_point_in_time"}')).toBe(1024);
    expect(found.get('budgie_last_failure_timestamp_seconds{operation="backup"}')).toBeGreaterThan(0);
    expect(text).not.toContain("budgie_2026");
  });

  it("are all there when everything is known", async () => {
    const text = await scrape();
    for (const name of Object.keys(METRICS)) expect(text, name).toContain(`# TYPE ${name} gauge`);
  });

  it("are left out, and not zero, when they are not known", async () => {
    const found = samples(
      await scrape({
        database: null,
        server: null,
        pointInTime: null,
        offsite: null,
        offsiteSsh: null,
        next: null,
        lastRun: null,
        lastDrill: null,
        lastRestore: null,
        refresh: null,
        lastRefresh: null,
        recovery: { pointAt: null, seconds: null },
        backups: { directory: "./backups", count: 0, freeBytes: 0, newest: null, newestProven: null },
        collectors: { ...status().collectors, database: false, backups: false, disk: false },
      }),
    );
    expect(found.get('budgie_collector_success{collector="database"}')).toBe(0);
    expect([...found.keys()].filter(name => !/^budgie_(status_|collector_|info|fine)/.test(name))).toEqual(
      [],
    );
  });

  it("are none before the agent has looked, so that their absence can be told", async () => {
    expect(samples(await metricsText({ seen: null })).size).toBe(0);
  });
});

describe("docs/monitoring", () => {
  const rules: { alert: string; expr: string }[] = parse(
    readFileSync("docs/monitoring/alerts.yml", "utf8"),
  ).groups.flatMap(({ rules }: { rules: object[] }) => rules);
  const panels: { targets: { expr: string }[] }[] = JSON.parse(
    readFileSync("docs/monitoring/grafana.json", "utf8"),
  ).panels;
  const named = (expr: string) => expr.match(/budgie_[a-z_]+/g) ?? [];

  it.each([
    ["rules", rules.map(({ expr }) => expr)],
    ["dashboard", panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))],
  ])("every metric that the %s name exists", (_, expressions) => {
    expect(expressions.length).toBeGreaterThan(10);
    for (const expr of expressions) {
      expect(named(expr), expr).not.toEqual([]);
      for (const name of named(expr)) expect(Object.keys(METRICS), expr).toContain(name);
    }
  });

  it("what must always be there has a rule for its absence", () => {
    const absent = rules.flatMap(({ expr }) => /^absent\((\w+)\)$/.exec(expr)?.[1] ?? []);
    expect(absent).toEqual([
      "budgie_status_timestamp_seconds",
      "budgie_backup_last_success_timestamp_seconds",
      "budgie_proof_last_success_timestamp_seconds",
    ]);
  });
});
