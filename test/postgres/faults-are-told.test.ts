import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import type { LineId } from "../../shared/status-lines.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { BOARD_PORT, shownBy } from "../support/agent/board.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query } from "../support/database/query.ts";
import { mountSmall, type TestFileSystem } from "../support/faults/file-system.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { startWebhook, type Webhook } from "../support/servers/webhook.ts";
import { describeSlowly } from "../support/slow-lane.ts";
import { until } from "../support/until.ts";

let postgres: TestPostgres;
let disk: TestFileSystem;
let agent: TestAgent;
let webhook: Webhook;
/** Whole, proven, and the only one. */
let backup: string;

beforeAll(async () => {
  [postgres, disk, webhook] = await Promise.all([
    startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
    mountSmall(300),
    startWebhook(),
  ]);
  await sql("CREATE TABLE entries AS SELECT generate_series(1, 100) AS id");
  await mkdir(here());
  agent = await startAgent(postgres, {
    database: "budgie_dev",
    directory: here(),
    environment: { BUDGIE_STATUS_PORT: BOARD_PORT, BUDGIE_ALERTS_FILE: "/root/alerts" },
  });
  const { NetworkSettings: network } = await agent.container.inspect();
  const alerts = { heartbeat: "", alerts: `http://${network.Networks.bridge?.Gateway}:${webhook.port}/hook` };
  const kept = await agent.exec(["sh", "-c", `umask 077; echo '${JSON.stringify(alerts)}' > /root/alerts`]);
  expect(kept.code, kept.stderr).toBe(0);
  backup = (await takeBackup(agent)).file;
  expect((await agent.run(["drill"])).code).toBe(EXIT.done);
});
afterAll(async () => {
  await agent?.stop();
  await Promise.all([postgres?.stop(), webhook?.stop()]);
  await disk?.remove();
});

const AHEAD = `budgie_${new Date().getFullYear() + 1}1231_020000.sql`;
const jsonName = (file: string) => file.replace(/\.sql$/, ".json");
/** Below where the disk is mounted: an agent removes its directory in the end. */
const here = (...names: string[]) => join(disk.directory, "backups", ...names);
const manifest = () => here(jsonName(backup));
const sql = (text: string) => query(postgres, "budgie_dev", text);

/** Everything in the directory goes somewhere else on the same disk, where nobody looks. */
const aside = () => join(disk.directory, "aside");
async function moveAway(which: (name: string) => boolean): Promise<void> {
  await mkdir(aside(), { recursive: true });
  for (const name of await readdir(here())) if (which(name)) await rename(here(name), join(aside(), name));
}
async function moveBack(): Promise<void> {
  for (const name of await readdir(aside())) {
    await rm(here(name), { recursive: true, force: true });
    await rename(join(aside(), name), here(name));
  }
  await rm(aside(), { recursive: true });
}
async function flipOneByte(): Promise<void> {
  const content = await readFile(here(backup));
  content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1;
  await writeFile(here(backup), content);
}

interface Fault {
  fault: string;
  bring: () => Promise<unknown>;
  /** The status line that turns red, and what it says. */
  line: LineId;
  says: RegExp;
  undo: () => Promise<unknown>;
}

const FAULTS: Fault[] = [
  {
    fault: "the database hangs",
    bring: () => postgres.container.pause(),
    line: "database",
    says: /cannot be reached|does not answer/,
    undo: () => postgres.container.unpause(),
  },
  {
    fault: "its password is another one",
    bring: () => sql(`ALTER ROLE ${postgres.user} PASSWORD 'another'`),
    line: "database",
    says: /password/,
    undo: async () => {
      const back = `ALTER ROLE ${postgres.user} PASSWORD '${postgres.password}'`;
      const { code, stderr } = await collectFromContainer(postgres.container, [
        "psql",
        "-U",
        postgres.user,
        "-d",
        "postgres",
        "-c",
        back,
      ]);
      expect(code, stderr).toBe(0);
    },
  },
  {
    fault: "a slot that nobody reads from holds WAL back",
    // Each switch ends a segment of 16 MB.
    bring: () =>
      sql(
        `SELECT pg_create_physical_replication_slot('forgotten', true);${"SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal();".repeat(17)}`,
      ),
    line: "slots",
    says: /forgotten keeps the server from removing WAL/,
    undo: () => sql("SELECT pg_drop_replication_slot('forgotten')"),
  },
  {
    fault: "the disk of the backups is full",
    bring: () => execa("fallocate", ["--length", "200M", here(".filled")]),
    line: "disk",
    says: /nearly full/,
    undo: () => rm(here(".filled")),
  },
  {
    fault: "a backup was deleted by hand",
    bring: () => moveAway(name => name.startsWith("budgie_")),
    line: "catalogue",
    says: /gone|missing/,
    undo: moveBack,
  },
  {
    fault: "the backup directory was emptied, or its disk is not mounted",
    bring: () => moveAway(() => true),
    line: "catalogue",
    says: /gone|missing/,
    undo: moveBack,
  },
  {
    fault: "a manifest alone was deleted",
    bring: () => moveAway(name => name.endsWith(".json") && !name.startsWith(".")),
    line: "catalogue",
    says: /manifest/,
    undo: moveBack,
  },
  {
    fault: "the last drill failed",
    bring: async () => {
      await flipOneByte();
      expect((await agent.run(["drill"])).code).toBe(EXIT.unusableBackup);
    },
    line: "catalogue",
    says: /budgie_/,
    undo: async () => {
      await flipOneByte();
      expect((await agent.run(["drill", backup])).code).toBe(EXIT.done);
    },
  },
  {
    fault: "the clock was wrong: a backup is from the future",
    bring: async () => {
      const record = JSON.parse(await readFile(manifest(), "utf8"));
      const at = new Date(Date.now() + 40 * 86_400_000).toISOString();
      await copyFile(here(backup), here(AHEAD));
      const ahead = { ...record, file: AHEAD, startedAt: at, finishedAt: at, globals: null };
      await writeSigned(here(jsonName(AHEAD)), ahead);
    },
    line: "schedule",
    says: /from the future/,
    // The agent knew of it, so that it is gone must be said, as always.
    undo: async () => {
      await Promise.all([rm(here(AHEAD)), rm(here(jsonName(AHEAD)))]);
      const accepted = await agent.run(["accept-missing-backups"]);
      expect(accepted.code, accepted.stderr).toBe(EXIT.done);
    },
  },
];

const shown = (path: string) => shownBy(agent, path);
const status = async () =>
  JSON.parse((await agent.run(["status", "--json"])).stdout) as {
    fine: boolean;
    lines: { id: LineId; level: string; problems: string[] }[];
  };
/** The agent looks every minute, and at its start. A fault must last for some minutes before somebody is called. */
const lookNow = () => agent.container.restart({ t: 10 });
async function callAtOnce(): Promise<void> {
  const wrongSince = new Date(Date.now() - 600_000).toISOString();
  const kept = JSON.stringify({ told: [], wrongSince, deliveries: {} });
  const write = `umask 077; mkdir -p "$BUDGIE_RECORDS_DIR"; echo '${kept}' > "$BUDGIE_RECORDS_DIR/alerts"`;
  const { code, stderr } = await agent.exec(["sh", "-c", write]);
  expect(code, stderr).toBe(0);
}
const PATIENTLY = {
  withinMs: 120_000,
  everyMs: 500,
  log: async () => JSON.stringify({ told: webhook.taken, now: await status() }, null, 1),
};
const shows = (path: string, what: RegExp) =>
  until(
    `${path} shows ${what}`,
    () => shown(path),
    ({ body }) => what.test(body),
    PATIENTLY,
  );
const told = (kind: string) => webhook.taken.filter(body => (body as { kind: string }).kind === kind);

describeSlowly.each(FAULTS)("when $fault", ({ bring, line, says, undo }) => {
  let brought = false;
  const over = async () => {
    if (brought) await undo();
    brought = false;
  };
  beforeAll(async () => {
    webhook.taken.length = 0;
    brought = true;
    await bring();
  });
  afterAll(over);

  it("the status, the probe, the metrics, the page and the alert tell it, and tell when it is over", async () => {
    const now = await status();
    const red = now.lines.find(({ id }) => id === line);
    expect(red, JSON.stringify(now.lines, null, 1)).toMatchObject({ level: "FAIL" });
    expect(red?.problems.join("\n")).toMatch(says);

    await callAtOnce();
    await lookNow();
    await shows("/metrics", /^budgie_fine 0$/m);
    await shows("/", says);
    expect((await shown("/healthz")).status).toBe(503);
    await until(
      "the alert",
      () => told("wrong"),
      ({ length }) => length === 1,
      PATIENTLY,
    );
    expect(JSON.stringify(told("wrong"))).toMatch(says);

    await over();
    await shows("/metrics", /^budgie_fine 1$/m);
    expect((await shown("/healthz")).status).toBe(200);
    await until(
      "that it is over",
      () => told("right"),
      ({ length }) => length === 1,
      PATIENTLY,
    );
    expect((await status()).fine).toBe(true);
    expect(webhook.taken).toHaveLength(2);
  }, 300_000);
});
