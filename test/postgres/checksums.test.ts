import { randomBytes } from "node:crypto";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

const stack = `checksums-${randomBytes(4).toString("hex")}`;
const labels = (role: string) => ({ "budgie.stack": stack, "budgie.prefix": stack, "budgie.role": role });

let postgres: TestPostgres;
let agent: TestAgent;

const sql = (text: string) => query(postgres, "budgie_dev", text);
const enable = async () => {
  const args = ["scripts/budgie.mjs", "--stack", stack, "checksums", "enable"];
  const { exitCode, all } = await execa("node", args, { all: true, reject: false, stdin: "ignore" });
  return { code: exitCode, all };
};

beforeAll(async () => {
  postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" }, labels: labels("database") });
  await sql("CREATE TABLE ledger AS SELECT n FROM generate_series(1, 1000) AS n");
  const directory = await mkdtemp(join(tmpdir(), "budgie-checksums-"));
  agent = await startAgent(postgres, {
    database: "budgie_dev",
    directory,
    labels: { ...labels("backup-agent"), "budgie.backup-dir": directory },
  });
});
afterAll(async () => {
  await agent?.stop();
  await postgres?.stop();
});

it("checksums are written into a volume that has none, after a backup, with every row kept; and only once", async () => {
  expect(await sql("SHOW data_checksums")).toEqual([{ data_checksums: "off" }]);

  const first = await enable();

  expect(first.code, first.all).toBe(EXIT.done);
  await postgres.ready();
  expect(await sql("SHOW data_checksums")).toEqual([{ data_checksums: "on" }]);
  expect(await sql("SELECT count(*)::int AS rows FROM ledger")).toEqual([{ rows: 1000 }]);
  expect((await readdir(agent.directory)).filter(name => /^budgie_.*\.sql$/.test(name))).not.toEqual([]);

  const again = await enable();
  expect(again.code, again.all).toBe(EXIT.done);
  expect(again.all).toContain("have checksums already; nothing was done");
  expect(await sql("SELECT count(*)::int AS rows FROM ledger")).toEqual([{ rows: 1000 }]);
});
