import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../agent/exit-codes.ts";
import type { Status } from "../../agent/status.ts";
import { SLOT } from "../../agent/wal-server.ts";
import { startAgent, type TestAgent } from "../support/agent.ts";
import { committedRows, ledgerIds, startLedgerLoad, type WrittenRow } from "../support/ledger-load.ts";
import { letReceive, queryOnce } from "../support/point-in-time.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { recoverByHand } from "../support/recover-by-hand.ts";

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

  /** Asks until it is so; fails with what the agent has to say. */
  const until = async (what: string, isSo: (status: Status) => boolean): Promise<Status> => {
    for (let tries = 0; tries < 150; tries++) {
      const now = await status();
      if (isSo(now)) return now;
      await delay(400);
    }
    const log = await agent.container.logs({ stdout: true, stderr: true, tail: 30 });
    throw new Error(`${what} did not come: ${JSON.stringify(await status(), null, 1)}\n${log}`);
  };
  const restoreAt = (at: number) => agent.run(["restore", "--at", new Date(at).toISOString(), "--json"]);
  const wholeSecond = (at: number) => Math.round(at / 1000) * 1000;

  beforeAll(async () => {
    postgres = await startPostgres();
    await queryOnce(postgres, "ALTER SYSTEM SET track_commit_timestamp = on", [], "postgres");
    await postgres.container.restart();
    await postgres.ready();
    await queryOnce(postgres, "CREATE DATABASE budgie_dev", [], "postgres");
    await letReceive(postgres);
    agent = await startAgent(postgres, {
      database: "budgie_dev",
      environment: { BUDGIE_POINT_IN_TIME: "true" },
    });
    await until("the first base backup", ({ pointInTime }) => pointInTime?.earliest !== null);

    const load = await startLedgerLoad(postgres);
    const startedAt = Date.now();
    await delay(PHASE_MS);
    await agent.container.kill();
    await delay(PHASE_MS);
    await agent.container.start();
    await until("the receiver", ({ pointInTime }) => pointInTime?.receiving === true);
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
    const { pointInTime } = await until(
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
    await until("that moment", ({ pointInTime }) => Date.parse(pointInTime?.latest ?? "") >= now);
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
    await queryOnce(postgres, "INSERT INTO ledger VALUES (1000001, 'segment'), (1000002, 'segment')");
    await queryOnce(postgres, "SELECT pg_switch_wal()");
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
    for (let tries = 0; ; tries++) {
      const failure = await queryOnce(postgres, removed).then(
        () => null,
        (error: Error) => error,
      );
      if (failure === null) break;
      if (tries > 100) throw failure;
      await delay(100);
    }
    for (let id = 2_000_001; id < 2_000_005; id++) {
      await queryOnce(postgres, "INSERT INTO ledger VALUES ($1, 'lost')", [id]);
      await queryOnce(postgres, "SELECT pg_switch_wal()");
      await queryOnce(postgres, "CHECKPOINT");
    }
    await agent.container.start();
    const red = await agent.run(["status"]);
    expect(red.code).toBe(EXIT.notFine);
    const { pointInTime, problems } = await until(
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
