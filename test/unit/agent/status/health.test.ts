import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeHealth } from "../../../../agent/status/health.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-health-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** The container's healthcheck, given what the agent wrote; `null` for no file. */
async function healthcheck(text: string | null): Promise<{ healthy: boolean; says: string }> {
  const file = join(folder, "health");
  if (text !== null) await writeFile(file, text);
  const { exitCode, stdout } = await execa("agent/budgie-healthy", [file], { reject: false });
  return { healthy: exitCode === 0, says: stdout };
}

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

it("the agent's container is healthy while its last word is that all is fine", async () => {
  expect(await healthcheck(describeHealth([], new Date()))).toEqual({ healthy: true, says: "fine" });
  expect(await healthcheck(describeHealth([], minutesAgo(2)))).toEqual({ healthy: true, says: "fine" });
});

it("it is unhealthy while backups are not what they should be, and says why", async () => {
  const problems = ["There is no backup.\nTake one: npx budgie backup", "The disk is nearly full."];
  expect(await healthcheck(describeHealth(problems, new Date()))).toEqual({
    healthy: false,
    says: "There is no backup. Take one: npx budgie backup The disk is nearly full.",
  });
});

it("it is unhealthy once the agent has been silent for minutes, whatever it said last", async () => {
  expect(await healthcheck(describeHealth([], minutesAgo(10)))).toEqual({
    healthy: false,
    says: "The agent has said nothing for minutes. The last was: fine",
  });
});

it.each([
  ["nothing", null, "The agent has not yet said how it is."],
  ["an empty file", "", "The agent has said nothing for minutes. The last was: "],
  ["half a file", "9999999999\n", ""],
])("it is unhealthy when there is %s", async (_, text, says) => {
  expect(await healthcheck(text)).toEqual({ healthy: false, says });
});
