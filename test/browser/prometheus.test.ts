import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { listen } from "../../agent/show/listen.ts";
import { startPrometheus, type TestPrometheus } from "../support/servers/prometheus.ts";
import { status } from "../support/status/status.ts";
import { until } from "../support/until.ts";

const BUILT_WITHIN_MS = 1_800_000;

let board: Server;
let server: TestPrometheus;
beforeAll(async () => {
  // What fires at once: the last backup failed.
  board = await listen(0, { seen: { status: status(), backups: [] } }, null);
  const { port } = board.address() as AddressInfo;
  server = await startPrometheus(`127.0.0.1:${port}`, resolve("docs/monitoring/alerts.yml"));
}, BUILT_WITHIN_MS);
afterAll(async () => {
  await server?.stop();
  board?.close();
});

type Alerts = { alerts: { labels: Record<string, string>; state: string }[] };
type Targets = { activeTargets: { health: string; lastError: string }[] };

it("a real Prometheus scrapes the agent, and fires what is wrong and nothing else", async () => {
  const { alerts } = await until(
    "an alert",
    async () => (await server.ask("alerts")) as Alerts,
    found => found.alerts.some(({ state }) => state === "firing"),
  );
  expect(alerts.map(({ labels }) => [labels.alertname, labels.operation])).toEqual([
    ["BudgieRunFailed", "backup"],
  ]);
  const { activeTargets } = (await server.ask("targets")) as Targets;
  expect(activeTargets.map(({ health, lastError }) => [health, lastError])).toEqual([["up", ""]]);
});

it("every panel of the dashboard has an answer", async () => {
  const { panels } = JSON.parse(readFileSync("docs/monitoring/grafana.json", "utf8")) as {
    panels: { title: string; targets?: { expr: string }[] }[];
  };
  await until(
    "the first samples",
    async () => (await server.ask("query?query=budgie_fine")) as { result: unknown[] },
    ({ result }) => result.length > 0,
  );
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) {
      const { result } = (await server.ask(`query?query=${encodeURIComponent(expr)}`)) as {
        result: unknown[];
      };
      expect(result, `${title}: ${expr}`).not.toEqual([]);
    }
  }
});
