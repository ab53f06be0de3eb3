import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Status } from "../../agent/status/status.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const IMAGE = "postgres:16-alpine";
const DATA = "/var/lib/postgresql/data";

let stack: TestStack;
let volume: string;
let container: string;

beforeAll(async () => {
  stack = await createStack();
  await stack.up();
  volume = `${stack.prefix}-postgres-data`;
  container = await stack.containerId("db");
  await stack.sql(
    "CREATE TABLE kept AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 1000) AS g",
  );
  await stack.sql("CREATE ROLE reader; GRANT SELECT ON kept TO reader");
  await succeeds(["backup"]);
});

afterAll(async () => {
  const left = stack ? await broken() : [];
  await stack?.remove();
  for (const name of left) await stack.docker.getVolume(name).remove();
});

const database = () => stack.docker.getContainer(`${stack.prefix}-db`);
const rows = () => stack.sql("SELECT count(*), md5(string_agg(id || text, ',' ORDER BY id)) FROM kept");
const inVolume = async (script: string, name = volume) =>
  (await execa("docker", ["run", "--rm", "--network=none", "-v", `${name}:/v`, IMAGE, "sh", "-c", script]))
    .stdout;
/** Every name and every byte, but for the notes of this command. */
const contentOf = async (name: string) =>
  createHash("sha256")
    .update(
      await inVolume(
        "cd /v && find . -type f ! -name '.budgie-recovery*' | sort | while read -r f; do sha256sum \"$f\"; done; find . | grep -v budgie-recovery | sort",
        name,
      ),
    )
    .digest("hex");

async function broken(): Promise<string[]> {
  const { Volumes: all } = await stack.docker.listVolumes();
  return all
    .filter(({ Labels: labels }) => labels?.[LABEL.keptAside] === volume)
    .map(({ Name: name }) => name)
    .sort();
}

async function succeeds(args: string[]): Promise<string> {
  const { code, all } = await stack.budgie(args);
  expect(code, all).toBe(0);
  return all;
}

const recover = () => stack.budgie(["recover-volume", "--yes-recover", volume]);

/** Damages the files of the running server, and has it start from them. What is in its WAL would heal some of it. */
async function damage(script: string): Promise<void> {
  await stack.sql("CHECKPOINT");
  await execa("docker", ["exec", `${stack.prefix}-db`, "sh", "-c", `cd ${DATA} && ${script}`]);
  await database().kill();
  await database().start();
}

async function isWell(expected: string): Promise<void> {
  expect(await rows()).toBe(expected);
  expect(await stack.containerId("db")).toBe(container);
  expect((await fetch(`${stack.url}/health`)).status).toBe(200);
  await stack.requireNoChange();
}

it("is refused while the database is well, and while it is only stopped", async () => {
  const well = await recover();
  expect(well.code, well.all).toBe(EXIT.notConfirmed);
  expect(well.all).toContain("is well");
  await succeeds(["stop", "backend", "db"]);
  const stopped = await recover();
  expect(stopped.code, stopped.all).toBe(EXIT.notConfirmed);
  expect(stopped.all).toContain("start db");
  await succeeds(["start"]);
  expect(await broken()).toEqual([]);
  const which = await stack.budgie(["recover"]);
  expect(which.code).toBe(EXIT.usage);
  expect(which.all).toMatch(/npx budgie recover-volume[\s\S]*npm run recover/);
});

it("brings back every row after pg_control was damaged, and keeps the broken volume whole", async () => {
  const before = await rows();
  await damage("head -c 8192 /dev/urandom > global/pg_control");
  await stack.budgie(["stop", "db"]);
  const damaged = await contentOf(volume);
  await database().start();

  const asked = await stack.budgie(["recover-volume"]);
  expect(asked.code, asked.all).toBe(EXIT.notConfirmed);
  expect(asked.all).toContain("own files in the volume");
  expect(asked.all).toMatch(/It is filled from budgie_\d+_\d+\.sql, \d+ minutes old: \d+ tables, \d+ rows/);
  expect(asked.all).toContain(`--yes-recover ${volume}`);
  expect(await broken()).toEqual([]);

  const { code, all } = await recover();
  expect(code, all).toBe(0);
  const [kept = ""] = await broken();
  expect(all).toContain(kept);
  expect(await contentOf(kept)).toBe(damaged);
  expect(await stack.sql("SELECT has_table_privilege('reader', 'kept', 'SELECT')")).toBe("t");
  expect(await succeeds(["volume", "list"])).toContain(kept);
  await isWell(before);
  await succeeds(["backup"]);
});

itSlowly("brings back every row after a catalogue's file or the WAL was lost", async () => {
  for (const script of [
    `rm base/$(psql -XAtqU budgie_user -d budgie_dev -c "SELECT oid FROM pg_database WHERE datname = 'budgie_dev'")/1259`,
    "rm pg_wal/0000*",
  ]) {
    const before = await rows();
    const kept = (await broken()).length;
    await damage(script);
    const { code, all } = await recover();
    expect(code, all).toBe(0);
    expect(await broken()).toHaveLength(kept + 1);
    await isWell(before);
    await succeeds(["backup"]);
  }
});

itSlowly(
  "goes on after it was killed while it copied, and after it was killed when the volume was empty",
  async () => {
    const before = await rows();
    const kept = (await broken()).length;
    await damage("head -c 8192 /dev/urandom > global/pg_control");
    await stack.budgie(["stop", "db"]);
    const damaged = await contentOf(volume);
    for (const line of ["Copying ", "is empty", "Starting "]) await killAt(line);
    const { code, all } = await recover();
    expect(code, all).toBe(0);
    const now = await broken();
    expect(now).toHaveLength(kept + 1);
    expect(await contentOf(now.at(-1) ?? "")).toBe(damaged);
    await isWell(before);
  },
);

itSlowly(
  "brings back what was written after the backup, where point in time runs, and receives WAL again",
  async () => {
    await stack.set("pointInTime", "true");
    await stack.up();
    await statusUntil("a base backup", ({ pointInTime }) => pointInTime?.earliest != null);
    await stack.sql("INSERT INTO kept SELECT 2000, 'after the backup'");
    const before = await rows();
    const written = new Date().toISOString();
    await statusUntil("that moment", ({ pointInTime }) => (pointInTime?.latest ?? "") > written);
    await damage("head -c 8192 /dev/urandom > global/pg_control");
    const { code, all } = await recover();
    expect(code, all).toBe(0);
    expect(all).toContain("and the WAL up to");
    await isWell(before);
    await statusUntil("WAL is received", ({ pointInTime }) => pointInTime?.receiving === true);
  },
);

async function readStatus(): Promise<Status> {
  return JSON.parse((await stack.budgie(["status", "--json"])).stdout);
}

async function statusUntil(what: string, isSo: (status: Status) => boolean): Promise<void> {
  const log = () => stack.logs("backup");
  await until(what, readStatus, isSo, { withinMs: 180_000, everyMs: 1000, log });
}

/** Runs it, and kills it as soon as it says this. */
async function killAt(line: string): Promise<void> {
  const args = ["scripts/budgie.mjs", "--stack", stack.name, "recover-volume", "--yes-recover", volume];
  const running = execa("node", args, { reject: false, all: true, stdin: "ignore" });
  let said = "";
  running.all.on("data", chunk => {
    said += String(chunk);
    if (said.includes(line)) running.kill("SIGKILL");
  });
  const { signal, all } = await running;
  expect(signal, `${line}: ${all}`).toBe("SIGKILL");
  await until("the helper ended", idle, is => is, { withinMs: 120_000, everyMs: 300 });
}

async function idle(): Promise<boolean> {
  await sleep(0);
  const found = await stack.docker
    .getContainer(`${volume}-work`)
    .inspect()
    .catch(() => undefined);
  return !found?.State.Running;
}
