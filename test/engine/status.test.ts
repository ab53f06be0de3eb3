import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { httpStatus } from "../../shared/http-status.ts";
import { freePort } from "../support/servers/free-port.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;
let page: string;

beforeAll(async () => {
  const port = await freePort();
  page = `http://localhost:${port}`;
  stack = await createStack({ statusPort: String(port) });
  await stack.up();
});
afterAll(() => stack?.remove());

const status = async () => {
  const { stdout } = await stack.budgie(["status", "--json"]);
  return JSON.parse(stdout) as {
    fine: boolean;
    verdict: { level: string; sentence: string };
    lines: { id: string; level: string; problems: string[] }[];
  };
};
const levelOf = async (id: string) => (await status()).lines.find(line => line.id === id)?.level;
const probe = () => httpStatus(`${page}/healthz`).catch(() => 0);

it("the page is published on this machine, nothing changes by it, and all say the same when all is well", async () => {
  await stack.requireNoChange();
  expect((await stack.budgie(["backup"])).code).toBe(0);
  await expect.poll(probe, { timeout: 120_000, interval: 2000 }).toBe(200);
  const shown = await stack.budgie(["status"]);
  expect(shown.code, shown.all).toBe(EXIT.done);
  for (const id of ["Stack", "Database", "Volume", "Disk", "Backend", "Last backup", "Agent", "Versions"])
    expect(shown.stdout).toMatch(new RegExp(`^(OK|WARN) +${id}: `, "m"));
  expect((await stack.budgie(["check"])).stdout).toMatch(/^Everything is as it should be/);
  expect((await stack.budgie(["check", "--nagios"])).stdout).toMatch(
    /^BUDGIE WARNING - .* \| backup_age=\d+s/,
  );
  expect(await (await fetch(page)).text()).toContain("Everything is as it should be");
});

it("with the database down, it is named, and what it alone knows is unknown", async () => {
  expect((await stack.budgie(["stop", "db"])).code).toBe(0);
  const shown = await stack.budgie(["status"]);
  expect(shown.code).toBe(EXIT.notFine);
  expect(shown.stdout).toMatch(/^FAIL +Database: /m);
  expect(shown.stdout).toMatch(/^unknown Volume: not known: the database does not run/m);
  expect(shown.stdout).toMatch(/^unknown Replication slots: /m);
  expect(shown.stdout).toMatch(/^OK +Backups: 1 in/m);
  expect((await stack.budgie(["check", "--nagios"])).code).toBe(2);
  await expect.poll(probe, { timeout: 150_000, interval: 2000 }).toBe(503);
  expect((await stack.budgie(["start"])).code).toBe(0);
});

it("with the agent down, it is named, and what it alone knows is unknown", async () => {
  expect((await stack.budgie(["stop", "backup"])).code).toBe(0);
  const { fine, lines, verdict } = await status();
  expect({ fine, level: verdict.level }).toEqual({ fine: false, level: "FAIL" });
  expect(lines.find(({ id }) => id === "agent")?.problems.join()).toContain("is not running");
  expect(lines.find(({ id }) => id === "backup")?.level).toBe("unknown");
  expect(await probe()).toBe(0);
  expect((await stack.budgie(["start"])).code).toBe(0);
  await expect.poll(() => levelOf("backup"), { timeout: 60_000, interval: 2000 }).toBe("OK");
});

it("without an engine, the status says so in its own shape", async () => {
  const result = await stack.budgie(["status", "--json"], {
    environment: { DOCKER_HOST: "unix:///nowhere.sock" },
  });
  expect(result.code).toBe(EXIT.engineOrContainerMissing);
  expect(JSON.parse(result.stdout)).toMatchObject({
    fine: false,
    database: null,
    containers: [],
    previousDatabases: [],
    lines: [{ id: "stack", level: "FAIL" }],
  });
});
