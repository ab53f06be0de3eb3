import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../agent/status/status.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { SLOT } from "../../shared/replication-slot.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { startReceivableServer } from "../support/agent/point-in-time.ts";
import { recoverByHand } from "../support/agent/recover-by-hand.ts";
import {
  committedRows,
  ledgerIds,
  startLedgerLoad,
  type WrittenRow,
} from "../support/database/ledger-load.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import type { TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const PHASE_MS = 10_000;

describe("going back to a moment", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let written: WrittenRow[];
  let committed: { id: number; at: number }[];
  /** Whole seconds: before the agent was killed, while it was away, and after it was back. */
  let moments: number[];

  const status = async (): Promise<Status> => JSON.parse((await agent.run(["status", "--json"])).stdout);
  const chains = async () =>
    (await readdir(join(agent.directory, "point-in-time", "test"))).filter(name => name.includes("_")).sort();

  const sql = (text: string, values: unknown[] = []) => query(postgres, LIVE, text, values);
  const statusUntil = (what: string, isSo: (status: Status) => boolean) =>
    until(what, status, isSo, {
      withinMs: 120_000,
      everyMs: 400,
      log: async () => String(await agent.container.logs({ stdout: true, stderr: true, tail: 30 })),
    });
  const restoreAt = (at: number) => agent.run(["restore", "--at", new Date(at).toISOString(), "--json"]);
  const wholeSecond = (at: number) => Math.round(at / 1000) * 1000;

  beforeAll(async () => {
    postgres = await startReceivableServer();
    agent = await startAgent(postgres, {
      database: LIVE,
      environment: { BUDGIE_POINT_IN_TIME: "true" },
    });
    await statusUntil("the first base backup", ({ pointInTime }) => pointInTime?.earliest !== null);

    const load = await startLedgerLoad(postgres);
    const startedAt = Date.now();
    await delay(PHASE_MS);
    await agent.container.kill();
    await delay(PHASE_MS);
    await agent.container.start();
    await statusUntil("the receiver", ({ pointInTime }) => pointInTime?.receiving === true);
    const backAt = Date.now();
    await delay(PHASE_MS / 2);
    await load.stop();
    written = load.rows;
    committed = await committedRows(postgres);
    moments = [startedAt + PHASE_MS / 2, startedAt + 1.5 * PHASE_MS, backAt + PHASE_MS / 4].map(wholeSecond);
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("status says from when to when, and how far the receiver is behind", async () => {
    const { pointInTime } = await statusUntil(
      "a receiver without a lag",
      ({ pointInTime }) => pointInTime?.slotLagBytes === 0,
    );
    expect(pointInTime).toMatchObject({ gaps: [], receiving: true, baseBackups: 1 });
    expect(Date.parse(pointInTime?.latest ?? "")).toBeGreaterThan(written.at(-1)?.acknowledgedAt ?? 0);
    expect((await agent.run(["status"])).stdout).toMatch(
      /Point in time: every moment from .* UTC to .* UTC; WAL is received/,
    );
  });

  it("what is kept belongs to the operator, and nobody else may read it", async () => {
    const { stdout } = await agent.exec([
      "sh",
      "-c",
      `find /backups/point-in-time ! -user "$(stat -c %u /backups)" -o -perm /077 | grep -v '/receiving$'`,
    ]);
    expect(stdout).toBe("");
  });

  it.each([0, 1, 2])(
    "chosen second %i: exactly the rows that were committed by then, all that were acknowledged among them",
    async index => {
      const at = moments[index] ?? 0;
      const { code, stdout, stderr } = await restoreAt(at);
      expect(code, stderr).toBe(EXIT.done);
      expect(JSON.parse(stdout)).toMatchObject({ notCompared: [] });
      const there = await ledgerIds(postgres);
      expect(there).toEqual(committed.filter(row => row.at <= at).map(({ id }) => id));
      expect(there.length).toBeGreaterThan(0);
      const ids = new Set(there);
      expect(written.filter(row => row.acknowledgedAt < at && !ids.has(row.id))).toEqual([]);
      expect(written.filter(row => row.sentAt > at && ids.has(row.id))).toEqual([]);
    },
  );

  it("the same rows come back by hand, with PostgreSQL alone, as docs/point-in-time.md says", async () => {
    const at = moments[1] ?? 0;
    const [chain = ""] = await chains();
    const folder = join(agent.directory, "point-in-time", "test", chain);
    const [base = ""] = (await readdir(join(folder, "base"))).filter(name => name.endsWith(".json"));
    const question = "SELECT string_agg(id::text, ',' ORDER BY id) FROM ledger";
    const there = await recoverByHand(postgres, folder, base.replace(".json", ""), new Date(at), question);
    expect(there.split(",").map(Number)).toEqual(committed.filter(row => row.at <= at).map(({ id }) => id));
  });

  it("a moment since which nothing was written is the newest state", async () => {
    const before = await ledgerIds(postgres);
    const now = Date.now();
    await statusUntil("that moment", ({ pointInTime }) => Date.parse(pointInTime?.latest ?? "") >= now);
    const { code, stderr } = await restoreAt(now);
    expect(code, stderr).toBe(EXIT.done);
    expect(await ledgerIds(postgres)).toEqual(before);
  });

  it("a moment out of reach, and one without its offset, is refused with what can be had", async () => {
    const { pointInTime } = await status();
    const first = pointInTime?.earliest?.replace("T", " ").replace("Z", " UTC") ?? "";
    const early = await restoreAt(Date.parse(pointInTime?.earliest ?? "") - 60_000);
    expect(early.code).toBe(EXIT.unusableBackup);
    expect(early.stderr).toContain(`cannot be gone back to: ./backups reaches from ${first} to `);
    const late = await restoreAt(Date.now() + 60_000);
    expect(late.code).toBe(EXIT.unusableBackup);
    expect(late.stderr).toContain(`reaches from ${first} to `);
    const vague = await agent.run(["restore", "--at", "2026-11-22 14:03:00"]);
    expect(vague.code).toBe(EXIT.usage);
    expect(vague.stderr).toContain("does not say its offset from UTC");
  });

  it("a corrupt segment ends the recovery, and the database is as it was", async () => {
    const before = await ledgerIds(postgres);
    await sql("INSERT INTO ledger VALUES (1000001, 'segment'), (1000002, 'segment')");
    await sql("SELECT pg_switch_wal()");
    const [chain = ""] = await chains();
    const folder = join(agent.directory, "point-in-time", "test", chain, "wal");
    const [, first = ""] = (await readdir(folder)).filter(name => name.endsWith(".gz")).sort();
    const bytes = await readFile(join(folder, first));
    const flip = () =>
      agent.exec([
        "sh",
        "-c",
        `printf '\\377' | dd of='/backups/point-in-time/test/${chain}/wal/${first}' bs=1 seek=5000 conv=notrunc`,
      ]);
    await flip();
    const { code, stderr } = await restoreAt(moments[0] ?? 0);
    expect(code, stderr).toBe(EXIT.unusableBackup);
    expect(stderr).toMatch(/The recovery was given up: .*\.gz is corrupt/);
    expect(await ledgerIds(postgres)).toEqual([...before, 1_000_001, 1_000_002]);
    await writeFile(join(folder, first), bytes);
  });

  it("WAL that is gone before it was received is red at once, and a new base backup begins a new chain", async () => {
    const [old = ""] = await chains();
    await agent.container.kill();
    const removed = `SELECT pg_drop_replication_slot('${SLOT}')`;
    const remove = () =>
      sql(removed).then(
        () => null,
        (error: Error) => error,
      );
    await until("the slot removed", remove, failure => failure === null, { everyMs: 100 });
    for (let id = 2_000_001; id < 2_000_005; id++) {
      await sql("INSERT INTO ledger VALUES ($1, 'lost')", [id]);
      await sql("SELECT pg_switch_wal()");
      await sql("CHECKPOINT");
    }
    await agent.container.start();
    const red = await agent.run(["status"]);
    expect(red.code).toBe(EXIT.notFine);
    const { pointInTime, problems } = await statusUntil(
      "the new chain",
      ({ pointInTime }) => (pointInTime?.gaps.length ?? 0) === 1 && pointInTime?.receiving === true,
    );
    expect(pointInTime).toMatchObject({ baseBackups: 2 });
    expect(problems.join("\n")).toMatch(
      /No moment between .* UTC and .* UTC can be gone back to: the server has removed WAL \([0-9A-F]{24}\) that was not received yet/,
    );
    expect((await chains()).length).toBe(2);

    const gap = pointInTime?.gaps[0];
    const inGap = await restoreAt((Date.parse(gap?.from ?? "") + Date.parse(gap?.until ?? "")) / 2);
    expect(inGap.code).toBe(EXIT.unusableBackup);
    expect(inGap.stderr).toMatch(/The WAL between .* and .* is missing/);
    const { stdout } = await agent.run(["prune", "--dry-run"]);
    expect(stdout).toMatch(
      new RegExp(`point-in-time/${old}/base/\\S+ +stays +leads to moments that are kept`),
    );
  });
});
