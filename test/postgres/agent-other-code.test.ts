import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

let postgres: TestPostgres;
let agent: TestAgent;
const [older, newer] = [`sha256:${"a".repeat(64)}`, `sha256:${"b".repeat(64)}`];

beforeAll(async () => {
  postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
  await query(postgres, LIVE, "CREATE TABLE entries AS SELECT 1 AS id");
  agent = await startAgent(postgres, {
    database: LIVE,
    environment: { BUDGIE_STACK_VERSION: "0.1.0" },
  });
});

afterAll(async () => {
  await agent?.stop();
  await postgres?.stop();
});

it("a restore of what was taken with another backend says so, before it replaces anything", async () => {
  const before = await takeBackup(agent);
  expect(before.backendImage).toBeNull();
  expect(before.stackVersion).toBe("0.1.0");

  expect((await agent.run(["note-backend", "budgie-backend:old", older])).code).toBe(EXIT.done);
  const { file, backendImage } = await takeBackup(agent);
  expect(backendImage).toEqual({ name: "budgie-backend:old", digest: older });
  const same = await agent.run(["restore", "--dry-run", file]);
  expect(same.code, same.stderr).toBe(EXIT.done);
  expect(same.stdout + same.stderr).not.toContain("It was taken");

  await agent.run(["note-backend", "budgie-backend:new", newer]);
  for (const args of [["--dry-run"], []]) {
    const { code, stdout, stderr } = await agent.run(["restore", ...args, file]);
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout + stderr).toContain("the backend ran budgie-backend:old (aaaaaaaaaaaa)");
    expect(stdout + stderr).toContain("it runs budgie-backend:new (bbbbbbbbbbbb) now");
  }
  const status = JSON.parse((await agent.run(["status", "--json"])).stdout);
  expect(status.problems.join()).not.toContain("running-backend");
});
