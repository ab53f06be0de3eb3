import { createHash } from "node:crypto";
import { copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { type CommandResult, KILLED, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { type FaultyStore, startFaultyStore } from "../support/faults/s3-faults.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

const MB = 1024 * 1024;
const PART = /^PUT .*partNumber=2/;
const COMPLETE = /^POST .*uploadId=/;
const MANIFEST = /^PUT .*\.json/;
const DUMP = /^GET .*-[0-9a-f]{12}\.sql/;

describe("the object store fails while backups are sent there or fetched", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let bucket: TestBucket;
  let faults: FaultyStore;
  let agent: TestAgent;
  /** A backup of three parts, taken once. */
  let taken: TestAgent;
  let manifest: Manifest;
  /** What takes half a minute or longer is started at once. */
  let slow: { sending: Promise<CommandResult>; fetching: Promise<CommandResult>; stop(): Promise<void> };

  const startAgentOf = (of: TestBucket, through: FaultyStore) =>
    startAgent(postgres, { database: LIVE, store: { ...of.store, endpoint: through.endpoint } });
  const plant = async (on: TestAgent) => {
    for (const name of [".sql", ".globals.sql", ".json"].map(ending => manifest.file.replace(".sql", ending)))
      await copyFile(join(taken.directory, name), join(on.directory, name));
  };
  /** Whatever happened: the backup here is unchanged, nothing there counts, and the next run sends what is missing. */
  const requireRecovery = async () => {
    expect((await bucket.keys()).filter(key => key.endsWith(".json"))).toEqual([]);
    expect((await agent.run(["verify"])).code).toBe(EXIT.done);
    faults.heal();
    await agent.giveWriter(bucket.writer);
    const again = await agent.run(["push"]);
    expect(again.code, again.stderr).toBe(EXIT.done);
    await requireSentOnce();
  };
  const requireSentOnce = async () => {
    const pair = manifest.file.replace(".sql", `-${manifest.sha256.slice(0, 12)}`);
    expect(await bucket.keys()).toEqual(
      ["globals.sql", "json", "sql"].map(ending => `test/${pair}.${ending}`),
    );
    for (const key of await bucket.keys()) expect(await bucket.versions(key), key).toBe(1);
    expect(JSON.parse(await bucket.text(`test/${pair}.json`)).sha256).toBe(manifest.sha256);
    const dump = createHash("sha256").update(await bucket.text(`test/${pair}.sql`));
    expect(dump.digest("hex")).toBe(manifest.sha256);
  };

  beforeAll(async () => {
    [minio, postgres] = await Promise.all([startMinio(), startPostgres({ env: { POSTGRES_DB: LIVE } })]);
    await makeEntries(postgres, 190_000);
    taken = await startAgent(postgres, { database: LIVE });
    manifest = await takeBackup(taken);
    expect(manifest.bytes).toBeGreaterThan(17 * MB);
    faults = await startFaultyStore(minio.endpoint);
    bucket = await makeBucket(minio);
    agent = await startAgentOf(bucket, faults);
    slow = await beginSlowOnes();
  });

  beforeEach(async () => {
    await agent.clear();
    await bucket.empty();
    faults.heal();
    faults.requests.length = 0;
    await agent.giveWriter(bucket.writer);
    await plant(agent);
  });

  afterAll(async () => {
    await slow?.stop();
    await faults?.stop();
    await agent?.stop();
    await taken?.stop();
    await postgres?.stop();
    await minio?.stop();
  });

  const beginSlowOnes = async () => {
    const through = await startFaultyStore(minio.endpoint);
    const [to, from] = [await makeBucket(minio), await makeBucket(minio)];
    const [sender, fetcher] = [await startAgentOf(to, through), await startAgentOf(from, through)];
    await plant(sender);
    await plant(fetcher);
    expect((await fetcher.run(["push"])).code).toBe(EXIT.done);
    await fetcher.exec(["sh", "-c", "rm /backups/*"]);
    through.disturb(new RegExp(`^POST /${to.bucket}`), "stall");
    through.disturb(new RegExp(`^GET /${from.bucket}/.*sql`), { stallAnswerAfter: 5 * MB }, 1);
    return {
      sending: sender.run(["push"]),
      fetching: fetcher.runAsReader(["pull", "latest"], from.reader),
      stop: async () => {
        await sender.stop();
        await fetcher.stop();
        await through.stop();
      },
    };
  };

  it.each<[string, () => void, RegExp]>([
    [
      "cuts the connection in the middle of a part, every time",
      () => void faults.disturb(PART, { cutRequestAfter: 3 * MB }),
      /cannot be reached: it cut the connection \((ECONNRESET|EPIPE)\)/,
    ],
    [
      "answers 500 to every part",
      () => void faults.disturb(PART, { status: 500, code: "InternalError" }),
      /it answered InternalError \(500\), 4 times/,
    ],
    [
      "is overloaded from the start",
      () => void faults.disturb(/./, { status: 503, code: "SlowDown" }, 50),
      /it answered SlowDown \(503\), 4 times/,
    ],
    [
      "has every part, and does not put them together",
      () => void faults.disturb(COMPLETE, { status: 500, code: "InternalError" }),
      /InternalError \(500\)/,
    ],
    [
      "has the dump, and not its manifest",
      () => void faults.disturb(MANIFEST, { cutRequestAfter: 1 }),
      /it cut the connection/,
    ],
  ])("%s: exit code 12, nothing there counts, and the next run catches up", async (_, disturb, message) => {
    disturb();
    const { code, stderr } = await agent.run(["push"]);
    expect(stderr).toMatch(message);
    expect(code).toBe(EXIT.storeUnreachable);
    expect(await bucket.unfinishedUploads()).toBe(0);
    await requireRecovery();
  });

  it.each<[string, () => void]>([
    ["cuts the connection once", () => void faults.disturb(PART, { cutRequestAfter: 3 * MB }, 1)],
    ["is overloaded three times", () => void faults.disturb(PART, { status: 503, code: "SlowDown" }, 3)],
    ["loses the answer to a part", () => void faults.disturb(PART, "lose answer", 1)],
    [
      "loses the answer to the last request of the dump",
      () => void faults.disturb(COMPLETE, "lose answer", 1),
    ],
    ["loses the answer to the manifest", () => void faults.disturb(MANIFEST, "lose answer", 1)],
    [
      "no longer knows the upload, once",
      () => void faults.disturb(COMPLETE, { status: 404, code: "NoSuchUpload" }, 1),
    ],
  ])("%s: the backup is sent all the same, once", async (_, disturb) => {
    disturb();
    const { code, stderr } = await agent.run(["push"]);
    expect(code, stderr).toBe(EXIT.done);
    faults.heal();
    await requireSentOnce();
  });

  it("loses every answer to the last request of the dump: the next run finds the dump there, and only adds the manifest", async () => {
    faults.disturb(COMPLETE, "lose answer");
    expect((await agent.run(["push"])).code).toBe(EXIT.storeUnreachable);
    expect(await bucket.keys()).toContainEqual(expect.stringMatching(/-[0-9a-f]{12}\.sql$/));
    await requireRecovery();
  });

  it.each<[string, () => void, RegExp]>([
    [
      "does not know the access key",
      () => agent.giveWriter({ ...bucket.writer, accessKeyId: "unknown" }),
      /does not know the access key \(InvalidAccessKeyId\)/,
    ],
    [
      "is given a wrong secret",
      () => agent.giveWriter({ ...bucket.writer, secretAccessKey: "wrong" }),
      /the secret key does not fit the access key \(SignatureDoesNotMatch\)/,
    ],
    [
      "is asked with a key that may only read",
      () => agent.giveWriter(bucket.reader),
      /the agent's key may not put backups there \(AccessDenied\)/,
    ],
    [
      "says that the credentials have expired",
      () => void faults.disturb(/./, { status: 400, code: "ExpiredToken" }),
      /the credentials have expired \(ExpiredToken\)/,
    ],
    [
      "does not know the bucket",
      () => void faults.disturb(/./, { status: 404, code: "NoSuchBucket" }),
      /there is no bucket backups-\w+ \(NoSuchBucket\)/,
    ],
    [
      "is a web server",
      () => void faults.disturb(/./, { page: "<!doctype html><html><body>Welcome!</body></html>" }),
      /is no S3 store/,
    ],
  ])("%s: exit code 13, and what to do", async (_, disturb, message) => {
    await disturb();
    const { code, stderr } = await agent.run(["push"]);
    expect(stderr).toMatch(message);
    expect(stderr.split("\n")[1]).toMatch(/^ {4}\S/);
    expect(code).toBe(EXIT.storeRefused);
    expect(stderr + JSON.stringify(await agent.run(["status", "--json"]))).not.toContain(
      bucket.writer.secretAccessKey,
    );
    faults.heal();
    await requireRecovery();
  });

  it("a store that has something else than what was sent is not believed, not even when the key is found taken", async () => {
    const answerHeaders = { etag: '"00000000000000000000000000000000"', "x-amz-checksum-sha256": null };
    faults.disturb(MANIFEST, { answerHeaders }, 1);
    const first = await agent.run(["push"]);
    expect(first.stderr).toMatch(
      /does not confirm that what it has as test\/budgie_.*\.json is what was sent/,
    );
    expect(first.code).toBe(EXIT.storeRefused);
    const second = await agent.run(["push"]);
    expect(second.stderr).toMatch(/is not sent to http.*: The object store does not confirm/);
    expect(second.code).toBe(EXIT.unusableBackup);
    expect((await agent.run(["status"])).code).toBe(EXIT.notFine);
    for (const key of await bucket.keys()) if (key.endsWith(".json")) await bucket.remove(key);
    const { code, stderr } = await agent.runAsReader(["push"], bucket.reader);
    expect(code, stderr).toBe(EXIT.done);
    expect(await bucket.keys()).toHaveLength(3);
    expect((await agent.runAsReader(["verify", "--remote"], bucket.reader)).code).toBe(EXIT.done);
  });

  it("a part that the store does not confirm ends the upload, and the next run sends it anew", async () => {
    const answerHeaders = { etag: '"00000000000000000000000000000000"', "x-amz-checksum-sha256": "AAAA" };
    faults.disturb(PART, { answerHeaders }, 1);
    const { code, stderr } = await agent.run(["push"]);
    expect(stderr).toContain("does not confirm that the part it received is the one that was sent");
    expect(code).toBe(EXIT.storeRefused);
    expect(await bucket.unfinishedUploads()).toBe(0);
    await requireRecovery();
  });

  it("`backup` with the store away: the backup is good, told and kept, and the exit code says what it lacks", async () => {
    faults.disturb(/./, { status: 503, code: "SlowDown" });
    const { code, stdout, stderr } = await agent.run(["backup"]);
    expect(code).toBe(EXIT.storeUnreachable);
    expect(stdout).toContain("[✓] Backup created successfully!");
    expect(stdout).toMatch(/budgie_\d+_\d+\.sql is good in \.\/backups, and not in http/);
    expect(stderr).toContain("The agent tries again by itself every five minutes");
    const status = JSON.parse((await agent.run(["status", "--json"])).stdout);
    expect(status.lastRun).toMatchObject({ operation: "backup", outcome: "done" });
    expect(status.offsite).toMatchObject({ missing: 2, lastAttempt: { outcome: "failed" } });
    expect(status.problems.join()).toMatch(/2 backups are not in http.*it answered SlowDown/);
    faults.heal();
    expect((await agent.run(["backup"])).code).toBe(EXIT.done);
    expect(await bucket.keys()).toHaveLength(9);
  });

  it("the store is away for a day: the status says so, and once it is back the agent sends by itself", async () => {
    await minio.kill();
    const { code, stderr } = await agent.run(["push"]);
    expect(code).toBe(EXIT.storeUnreachable);
    expect(stderr).toMatch(/it cut the connection|nothing listens there/);
    expect((await agent.run(["status"])).code).toBe(EXIT.notFine);
    await minio.start();
    const served = await agent.killed(["serve"], { afterText: "is in http" });
    expect(served.code, served.stdout).toBe(KILLED);
    expect((await agent.run(["push"])).code).toBe(EXIT.done);
    expect((await agent.run(["status"])).code).toBe(EXIT.done);
    await requireSentOnce();
  });

  it.each<[string, () => void]>([
    ["cut twice", () => void faults.disturb(DUMP, { cutAnswerAfter: 6 * MB }, 2)],
    ["cut at its very beginning", () => void faults.disturb(DUMP, { cutAnswerAfter: 1 }, 1)],
  ])("a download that is %s goes on where it broke off", async (_, disturb) => {
    expect((await agent.run(["push"])).code).toBe(EXIT.done);
    await agent.exec(["sh", "-c", "rm /backups/*"]);
    disturb();
    const { code, stderr } = await agent.runAsReader(["pull", "latest"], bucket.reader);
    expect(code, stderr).toBe(EXIT.done);
    expect((await agent.run(["verify"])).code).toBe(EXIT.done);
  });

  it("a download that is cut again and again ends, leaves nothing, and succeeds when the line is better", async () => {
    expect((await agent.run(["push"])).code).toBe(EXIT.done);
    await agent.exec(["sh", "-c", "rm /backups/*"]);
    faults.disturb(DUMP, { cutAnswerAfter: 100_000 });
    const { code, stderr } = await agent.runAsReader(["pull", "latest"], bucket.reader);
    expect(code, stderr).toBe(EXIT.storeUnreachable);
    expect((await readdir(agent.directory)).filter(name => /budgie/.test(name))).toEqual([]);
    faults.heal();
    expect((await agent.runAsReader(["pull", "latest"], bucket.reader)).code).toBe(EXIT.done);
    const here = await readFile(join(agent.directory, manifest.file));
    expect(here.equals(await readFile(join(taken.directory, manifest.file)))).toBe(true);
  });

  it("a second command waits for the first, says for whom, and sends nothing twice", async () => {
    let goOn = () => {};
    const held = new Promise<void>(resolve => {
      goOn = resolve;
    });
    const met = faults.disturb(PART, { waitFor: held }, 1);
    const first = agent.run(["push"]);
    await met;
    const second = agent.start(["push"]);
    await second.said("Waiting for push, since ");
    goOn();
    expect((await first).code).toBe(EXIT.done);
    const { code, stdout, stderr } = await second.result;
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toMatch(/Waiting for push, since \d\d:\d\d:\d\d UTC, which sends copies/);
    await requireSentOnce();
  });

  it("a download that stalls is taken up again after the silence", async () => {
    const { code, stderr } = await slow.fetching;
    expect(code, stderr).toBe(EXIT.done);
  });

  it("a store that never answers does not hold the agent for ever", async () => {
    const { code, stderr } = await slow.sending;
    expect(code).toBe(EXIT.storeUnreachable);
    expect(stderr).toMatch(/cannot be reached: it did not answer in time, 4 times/);
  });
});
