import { afterAll, beforeAll, expect, it } from "vitest";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { BOARD_PORT, shownBy } from "../support/agent/board.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { itSlowly } from "../support/slow-lane.ts";

let postgres: TestPostgres;
let agent: TestAgent;

beforeAll(async () => {
  postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
  const environment = { BUDGIE_STATUS_PORT: BOARD_PORT };
  agent = await startAgent(postgres, { database: "budgie_dev", environment });
});
afterAll(async () => {
  await agent?.stop();
  await postgres?.stop();
});

const healthcheck = async () => {
  const { code, stdout } = await agent.exec(["budgie-healthy"]);
  return { code, says: stdout.trim() };
};

it("the agent's healthcheck is what its status says: bad without a backup, whatever lives, and good with one", async () => {
  const noBackup = "There is no backup. Take one: npx budgie backup";
  await expect.poll(healthcheck, { timeout: 30_000 }).toEqual({ code: 1, says: noBackup });
  expect((await agent.run(["status"])).stdout).toContain(noBackup);

  expect((await agent.run(["backup"])).code).toBe(0);

  await expect.poll(healthcheck, { timeout: 30_000 }).toEqual({ code: 0, says: "fine" });
  expect((await agent.run(["status"])).code).toBe(0);
});

const shown = (path: string) => shownBy(agent, path);

it("the agent shows the same as a page, as metrics and for probes, without being asked by a command", async () => {
  await expect.poll(async () => (await shown("/healthz")).status, { timeout: 90_000 }).toBe(200);
  const page = await shown("/");
  expect(page.body).toContain("Everything is as it should be");
  expect(page.body).toMatch(/budgie_\d{8}_\d{6}\.sql/);
  expect((await shown("/plots.js")).body).toContain("uPlot");
  const metrics = await shown("/metrics");
  expect(metrics.body).toContain("budgie_fine 1");
  expect(metrics.body).toMatch(/^budgie_database_size_bytes [1-9]/m);
});

itSlowly(
  "a database that stops turns page, probe and metrics red, and what it alone knows is left out",
  async () => {
    await postgres.container.stop();
    await expect.poll(async () => (await shown("/healthz")).status, { timeout: 120_000 }).toBe(503);
    const { body } = await shown("/metrics");
    expect(body).toContain('budgie_collector_success{collector="database"} 0');
    expect(body).not.toMatch(/^budgie_database_size_bytes/m);
    expect(body).toMatch(/^budgie_backup_last_success_timestamp_seconds [1-9]/m);
    expect((await shown("/")).body).toContain("cannot be reached");
    const status = await agent.run(["status"]);
    expect(status.stdout).toMatch(/^unknown Replication slots: not known: the database does not answer$/m);
    expect(status.stdout).toMatch(/^OK +Backups: 1 in/m);
  },
  240_000,
);
