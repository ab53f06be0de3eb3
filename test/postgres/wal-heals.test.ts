import { readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../agent/status/status.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { startReceivableServer } from "../support/agent/point-in-time.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import type { TestPostgres } from "../support/servers/postgres.ts";
import { SLOW } from "../support/slow-lane.ts";
import { until } from "../support/until.ts";

const MB = 1024 * 1024;
const SEGMENT_BYTES = 16 * MB;

/** Too large, and four more for the slow lane. */
const ODD_SIZES = [SEGMENT_BYTES + 8192, 5_000_000, 1, SEGMENT_BYTES - 1, 0];

describe("receiving WAL heals by itself", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let id = 0;

  const sql = (text: string, values: unknown[] = []) => query(postgres, LIVE, text, values);
  const status = async (): Promise<Status> => JSON.parse((await agent.run(["status", "--json"])).stdout);
  const statusUntil = (what: string, isSo: (status: Status) => boolean) =>
    until(what, status, isSo, {
      withinMs: 90_000,
      everyMs: 400,
      log: async () => String(await agent.container.logs({ stdout: true, stderr: true, tail: 30 })),
    });
  const start = async (tmpfsBytes?: number) => {
    agent = await startAgent(postgres, {
      database: LIVE,
      environment: { BUDGIE_POINT_IN_TIME: "true" },
      ...(tmpfsBytes === undefined ? {} : { tmpfsBytes }),
    });
    await statusUntil("the first base backup", ({ pointInTime }) => Boolean(pointInTime?.earliest));
  };
  /** Writes a row, and waits until it can be gone back to, in the chain that was there, without a gap. */
  const requireNothingLost = async () => {
    const before = await chains();
    await sql("INSERT INTO ledger VALUES ($1)", [++id]);
    const at = Date.now();
    const { pointInTime } = await statusUntil(
      "a moment after the row",
      ({ pointInTime }) => Date.parse(pointInTime?.latest ?? "") > at && pointInTime?.receiving === true,
    );
    expect(pointInTime?.gaps).toEqual([]);
    expect(await chains()).toEqual(before);
  };
  const chains = async () =>
    (await agent.exec(["ls", "/backups/point-in-time/test"])).stdout
      .split("\n")
      .filter(name => name.includes("_"))
      .sort();
  const folder = async (name: "receiving" | "wal") =>
    join(agent.directory, "point-in-time", "test", (await chains()).at(-1) ?? "", name);
  const switchSegment = async () => {
    await sql("INSERT INTO ledger VALUES ($1)", [++id]);
    await sql("SELECT pg_switch_wal()");
  };
  const sealed = async () => (await readdir(await folder("wal"))).filter(name => name.endsWith(".gz")).sort();

  beforeAll(async () => {
    postgres = await startReceivableServer();
    await sql("CREATE TABLE ledger (id int)");
  });

  afterEach(async () => {
    await agent?.stop();
    await sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
  });

  afterAll(() => postgres?.stop());

  describe("when the segment that is being received was left with an odd size", () => {
    it.each(SLOW ? ODD_SIZES : ODD_SIZES.slice(0, 1))("of %i bytes", async size => {
      await start();
      await requireNothingLost();
      await agent.container.kill();
      const receiving = await folderOfStopped("receiving");
      const [partial = ""] = (await readdir(receiving)).filter(name => name.endsWith(".partial"));
      await truncate(join(receiving, partial), size);
      await agent.container.start();
      await requireNothingLost();
      expect((await stat(join(receiving, partial))).size).toBe(SEGMENT_BYTES);
    });
  });

  /** The agent's container does not run. */
  const folderOfStopped = async (name: "receiving" | "wal") => {
    const place = join(agent.directory, "point-in-time", "test");
    const chain = (await readdir(place)).filter(found => found.includes("_")).sort();
    return join(place, chain.at(-1) ?? "", name);
  };

  /** A segment that was received and is not compressed yet, cut to this size. */
  const cutOne = async (size: number): Promise<string> => {
    await switchSegment();
    const before = (await sealed()).length;
    await switchSegment();
    await until("a compressed segment", sealed, found => found.length > before, { withinMs: 60_000 });
    await agent.container.kill();
    const [receiving, wal] = [await folderOfStopped("receiving"), await folderOfStopped("wal")];
    const newest =
      (await readdir(wal))
        .filter(name => name.endsWith(".gz"))
        .sort()
        .at(-1) ?? "";
    const segment = newest.slice(0, 24);
    const whole = gunzipSync(await readFile(join(wal, newest)));
    await writeFile(join(receiving, segment), whole.subarray(0, size));
    await rm(join(wal, newest));
    return segment;
  };

  it.each(SLOW ? [0, 1_000_000] : [1_000_000])(
    "when a segment was cut to %i bytes, and the server still has it",
    async size => {
      await start();
      const segment = await cutOne(size);
      await agent.container.start();
      await requireNothingLost();
      await until("the segment, compressed", sealed, found => found.some(name => name.startsWith(segment)), {
        withinMs: 30_000,
      });
    },
  );

  it("when a segment was cut, and the server has it no more: a new chain, and the gap is said", async () => {
    await start();
    const segment = await cutOne(1_000_000);
    for (let more = 0; more < 4; more++) {
      await switchSegment();
      await sql("CHECKPOINT");
    }
    await removeFromServer(segment);
    await agent.container.start();
    const { problems, pointInTime } = await statusUntil(
      "a new chain",
      ({ pointInTime }) => (pointInTime?.gaps.length ?? 0) === 1 && pointInTime?.receiving === true,
    );
    expect(problems.join("\n")).toContain(
      `the segment ${segment} was cut short in the backup directory, and the server does not have it any more`,
    );
    expect(pointInTime?.baseBackups).toBe(2);
  });

  /** As a checkpoint does once nobody needs it. */
  const removeFromServer = async (segment: string) => {
    const [data] = await sql("SHOW data_directory");
    await sql(
      `COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f ${data?.data_directory}/pg_wal/${segment}'`,
    );
  };

  it("when the server is killed in the midst of a segment", async () => {
    await start();
    await requireNothingLost();
    await postgres.container.kill();
    await postgres.container.start();
    await postgres.ready();
    await requireNothingLost();
  });

  it("when the agent is killed in the midst of a segment, again and again", async () => {
    await start();
    for (let times = 0; times < 3; times++) {
      await sql("INSERT INTO ledger SELECT generate_series(1, 20000)");
      await agent.container.kill();
      await sql("INSERT INTO ledger SELECT generate_series(1, 20000)");
      await agent.container.start();
    }
    await requireNothingLost();
  });

  it("when the backup disk was full: it stops at the reserve, and goes on once there is space", async () => {
    await start(260 * MB);
    const asked = "const s = fs.statfsSync('/backups'); console.log((s.bavail * s.bsize) / 2 ** 20)";
    const free = async () => Number((await agent.exec(["node", "-e", asked])).stdout);
    // Room for one segment and a half beside the reserve.
    const fill = Math.floor((await free()) - 88);
    await agent.exec(["dd", "if=/dev/zero", "of=/backups/filling", "bs=1M", `count=${fill}`]);
    const seen: number[] = [];
    await sql("CREATE TABLE noise (text text)");
    for (let times = 0; times < 6; times++) {
      await sql("INSERT INTO noise SELECT md5(random()::text) FROM generate_series(1, 100000)");
      seen.push(await free());
    }
    const { problems } = await statusUntil(
      "a receiver that has stopped",
      ({ pointInTime, problems }) =>
        pointInTime?.receiving === false && /stay free for the database/.test(problems.join()),
    );
    expect(problems.join("\n")).toContain("WAL is not received at the moment");
    // On a busy machine the look at the disk comes late by a segment, which is filled with zeros at once.
    expect(Math.min(...seen, await free())).toBeGreaterThanOrEqual(64 - 16);
    await sql("DROP TABLE noise");

    await agent.exec(["rm", "/backups/filling"]);
    await requireNothingLost();
    expect((await agent.run(["status"])).stdout).toContain("WAL is received");
  });

  it("when the backup disk was filled to its last byte in the midst of a segment", async () => {
    await start(260 * MB);
    await agent.exec(["sh", "-c", "cat /dev/zero > /backups/filling"]);
    await switchSegment();
    await switchSegment();
    await statusUntil("a receiver that has stopped", ({ pointInTime }) => pointInTime?.receiving === false);
    await agent.exec(["rm", "/backups/filling"]);
    await requireNothingLost();
    expect((await agent.run(["prune"])).code).toBe(EXIT.done);
  });
});
