import { createHash } from "node:crypto";
import { copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { KILLED, type KillMoment, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { type FaultyStore, startFaultyStore } from "../support/faults/s3-faults.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

const MB = 1024 * 1024;

describe("the agent is killed (-9) while it sends or fetches a copy", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let bucket: TestBucket;
  let faults: FaultyStore;
  let agent: TestAgent;
  /** A backup of three parts, taken once. */
  let taken: TestAgent;
  let manifest: Manifest;

  const names = () => ["sql", "globals.sql", "json"].map(ending => manifest.file.replace(/sql$/, ending));
  /** In the bucket every manifest has its whole dump. Here every dump under a backup's name is whole. */
  const requireNothingHalf = async () => {
    for (const key of (await bucket.keys()).filter(name => name.endsWith(".json"))) {
      const { sha256 } = JSON.parse(await bucket.text(key));
      expect(await sha256Of(bucket.text(key.replace(".json", ".sql")))).toBe(sha256);
    }
    for (const name of (await readdir(agent.directory)).filter(file => /^budgie_\d+_\d+\.sql$/.test(file))) {
      const text = await readFile(join(agent.directory, name), "utf8");
      expect(text, name).toContain("-- PostgreSQL database dump complete");
    }
  };
  const requireAllSent = async () => {
    const again = await agent.run(["push"]);
    expect(again.code, again.stderr).toBe(EXIT.done);
    await requireNothingHalf();
    const backups = (await readdir(agent.directory)).filter(file => /^budgie_.*\.json$/.test(file));
    expect((await bucket.keys()).filter(key => key.endsWith(".json"))).toHaveLength(backups.length);
    for (const key of await bucket.keys()) expect(await bucket.versions(key), key).toBe(1);
  };

  beforeAll(async () => {
    [minio, postgres] = await Promise.all([startMinio(), startPostgres({ env: { POSTGRES_DB: LIVE } })]);
    await makeEntries(postgres, 190_000);
    taken = await startAgent(postgres, { database: LIVE });
    manifest = await takeBackup(taken);
    faults = await startFaultyStore(minio.endpoint);
    bucket = await makeBucket(minio);
    agent = await startAgent(postgres, {
      database: LIVE,
      store: { ...bucket.store, endpoint: faults.endpoint },
    });
  });

  beforeEach(async () => {
    await agent.clear();
    await bucket.empty();
    faults.heal();
    for (const name of names()) await copyFile(join(taken.directory, name), join(agent.directory, name));
  });

  afterAll(async () => {
    await faults?.stop();
    await agent?.stop();
    await taken?.stop();
    await postgres?.stop();
    await minio?.stop();
  });

  it.each<[string, RegExp]>([
    ["while a part is on its way", /^PUT .*partNumber=2/],
    ["when the dump is there, and it does not know yet", /^POST .*uploadId=/],
    ["when the manifest is there, and it does not know yet", /^PUT .*\.json/],
  ])(
    "%s: nothing there counts that is not whole, and the next run sends what is missing, once",
    async (_, request) => {
      const met = faults.disturb(request, "hold answer");
      const killed = await agent.killed(["push"], { after: met });
      expect(killed.code).toBe(KILLED);
      await requireNothingHalf();
      faults.heal();
      await requireAllSent();
    },
  );

  it("in a `backup`, after the backup was taken: it is good here, and the next run sends it", async () => {
    const killed = await agent.killed(["backup"], { afterText: "Total backups" });
    expect([KILLED, EXIT.done]).toContain(killed.code);
    expect(killed.stdout).toContain("Backup created successfully");
    await requireNothingHalf();
    await requireAllSent();
  });

  it("at any moment of a `push`", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 100, max: 1500 }), async afterMs => {
        const killed = await agent.killed(["push"], { afterMs });
        expect([KILLED, EXIT.done]).toContain(killed.code);
        await requireNothingHalf();
        await requireAllSent();
        await bucket.empty();
        await agent.clear();
        for (const name of names()) await copyFile(join(taken.directory, name), join(agent.directory, name));
      }),
      { numRuns: 3, endOnFailure: true },
    );
  });

  it.each<[string, KillMoment]>([
    ["when a part of the file is here", { whenPartialHolds: 5 * MB }],
    ["at its end", { afterText: "is in ./backups" }],
  ])("in a `pull`, %s: nothing half under a backup's name, and the next one finishes", async (_, moment) => {
    await requireAllSent();
    await agent.exec(["sh", "-c", "rm /backups/budgie_*"]);
    const reader = await agent.keepReader(bucket.reader);
    // The rest is held back, or a fast pull would end before it is killed.
    if ("whenPartialHolds" in moment) void faults.disturb(/^GET .*\.sql\b/, { stallAnswerAfter: 12 * MB });
    const killed = await agent.killed(["pull", "latest", "--reader", reader], moment);
    faults.heal();
    expect("whenPartialHolds" in moment ? [KILLED] : [KILLED, EXIT.done]).toContain(killed.code);
    await requireNothingHalf();
    const again = await agent.runAsReader(["pull", "latest"], bucket.reader);
    expect(again.code, again.stderr).toBe(EXIT.done);
    const verified = await agent.run(["verify", manifest.file]);
    expect(verified.code, verified.stdout + verified.stderr).toBe(EXIT.done);
    expect((await readdir(agent.directory)).filter(name => name.includes("partial"))).toEqual([]);
  });
});

describe("the disk of the backups while a copy is fetched", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let faults: FaultyStore;
  let bucket: TestBucket;
  let agent: TestAgent;

  const start = (tmpfsBytes: number) =>
    startAgent(postgres, {
      database: LIVE,
      tmpfsBytes,
      store: { ...bucket.store, endpoint: faults.endpoint },
    });

  beforeAll(async () => {
    [minio, postgres] = await Promise.all([startMinio(), startPostgres({ env: { POSTGRES_DB: LIVE } })]);
    await makeEntries(postgres, 300_000);
    faults = await startFaultyStore(minio.endpoint);
    bucket = await makeBucket(minio);
    agent = await start(400 * MB);
    await takeBackup(agent);
    await agent.stop();
  });

  afterAll(async () => {
    await faults?.stop();
    await postgres?.stop();
    await minio?.stop();
  });

  it("is too full: refused before it starts, with nothing written", async () => {
    agent = await start(80 * MB);
    const { code, stderr } = await agent.runAsReader(["pull", "latest"], bucket.reader);
    expect(code).toBe(EXIT.noSpace);
    expect(stderr).toMatch(/Not enough space in \.\/backups: \d+ MB are needed/);
    expect((await agent.exec(["sh", "-c", "ls -A /backups | grep budgie"])).stdout).toBe("");
    await agent.stop();
  });

  it("fills up meanwhile: stopped while the database still has room, with nothing left", async () => {
    agent = await start(120 * MB);
    let fill = () => {};
    const filled = new Promise<void>(resolve => {
      fill = resolve;
    });
    const met = faults.disturb(/^GET .*-[0-9a-f]{12}\.sql/, { stallAnswerAfter: 2 * MB, until: filled }, 1);
    const pulling = agent.runAsReader(["pull", "latest"], bucket.reader);
    await met;
    await agent.exec(["dd", "if=/dev/zero", "of=/backups/somebody-elses", "bs=1M", "count=45"]);
    fill();
    const { code, stderr } = await pulling;
    expect(code, stderr).toBe(EXIT.noSpace);
    expect(stderr).toMatch(/Stopped because only \d+ MB are left/);
    expect((await agent.exec(["sh", "-c", "ls -A /backups | grep budgie"])).stdout).toBe("");
    await agent.stop();
  });
});

async function sha256Of(text: Promise<string>): Promise<string> {
  return createHash("sha256")
    .update(await text)
    .digest("hex");
}
