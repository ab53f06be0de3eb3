import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect } from "vitest";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { BOARD_PORT } from "../support/agent/board.ts";
import { AGENT_ENVIRONMENT } from "../support/agent/environment.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query } from "../support/database/query.ts";
import { mountSmall, type TestFileSystem } from "../support/faults/file-system.ts";
import { ALERTS_FILE, type Fault, tellEach, tellWebhook } from "../support/faults/told.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { startWebhook, type Webhook } from "../support/servers/webhook.ts";

let postgres: TestPostgres;
let disk: TestFileSystem;
let agent: TestAgent;
let webhook: Webhook;
let records: string;
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
  records = await mkdtemp(join(tmpdir(), "budgie-records-"));
  agent = await startAgent(postgres, {
    database: "budgie_dev",
    directory: here(),
    binds: [`${records}:${AGENT_ENVIRONMENT.BUDGIE_RECORDS_DIR}`],
    environment: { BUDGIE_STATUS_PORT: BOARD_PORT, BUDGIE_ALERTS_FILE: ALERTS_FILE },
  });
  await tellWebhook(agent, webhook);
  backup = (await takeBackup(agent)).file;
  expect((await agent.run(["drill"])).code).toBe(EXIT.done);
});
afterAll(async () => {
  await agent?.stop();
  await Promise.all([postgres?.stop(), webhook?.stop()]);
  await disk?.remove();
  await rm(records, { recursive: true, force: true });
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

/** Makes the backup so many hours older than it is now. This agent has no schedule. */
async function dateBack(hours: number): Promise<void> {
  const at = new Date(Date.now() - hours * 3_600_000).toISOString();
  const record = JSON.parse(await readFile(manifest(), "utf8"));
  await writeSigned(manifest(), { ...record, startedAt: at, finishedAt: at });
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
    fault: "the schedule is disabled, and nobody took a backup for a day",
    bring: () => dateBack(27),
    line: "backup",
    says: /The newest backup is 27 hours old/,
    undo: () => dateBack(0),
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

tellEach(FAULTS, () => ({ agent, webhook, records }));
