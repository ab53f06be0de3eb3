import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { makeLargeBackup } from "../support/agent/large-backup.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { describeSlowly } from "../support/slow-lane.ts";

const MB = 1024 * 1024;
/** Whatever the size of a backup. */
const MOST_MEMORY_MB = 200;

describeSlowly("a backup of 2 GB", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let bucket: TestBucket;
  let agent: TestAgent;
  let file: string;

  beforeAll(async () => {
    [minio, postgres] = await Promise.all([startMinio(), startPostgres({ env: { POSTGRES_DB: LIVE } })]);
    await makeEntries(postgres, 80_000);
    const taker = await startAgent(postgres, { database: LIVE });
    const { file: small } = await takeBackup(taker);
    bucket = await makeBucket(minio);
    agent = await startAgent(postgres, { database: LIVE, store: bucket.store });
    file = await makeLargeBackup(join(taker.directory, small), agent.directory, 2048 * MB);
    await taker.stop();
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
    await minio?.stop();
  });

  it("is sent and fetched with less than 200 MB of memory", async () => {
    const sent = await withPeakMemory("push");
    expect(sent.stderr).toBe("");
    expect(sent.peakMegabytes).toBeLessThan(MOST_MEMORY_MB);
    const here = join(agent.directory, file);
    const { sha256 } = JSON.parse(await readFile(here.replace(".sql", ".json"), "utf8")) as Manifest;
    await rm(here);
    const fetched = await withPeakMemory(`pull ${file} --reader ${await agent.keepReader(bucket.reader)}`);
    expect(fetched.stderr).toBe("");
    expect(fetched.peakMegabytes).toBeLessThan(MOST_MEMORY_MB);
    expect((await agent.exec(["sha256sum", `/backups/${file}`])).stdout).toContain(sha256);
    console.log(
      `2 GB: sent in ${sent.seconds} s with ${sent.peakMegabytes} MB, fetched in ${fetched.seconds} s with ${fetched.peakMegabytes} MB`,
    );
  });

  /** Runs a command of the agent. Its peak memory is the kernel's own count (VmHWM). */
  const withPeakMemory = async (command: string) => {
    const script = `
      budgie-agent ${command} > /dev/null & pid=$!; peak=0
      while kill -0 $pid 2>/dev/null; do
        now=$(grep VmHWM /proc/$pid/status 2>/dev/null | tr -dc 0-9); peak=\${now:-$peak}; sleep 0.1
      done
      wait $pid || exit $?
      echo $peak`;
    const startedAt = Date.now();
    const { code, stdout, stderr } = await agent.exec(["sh", "-c", script]);
    expect(code, stderr).toBe(EXIT.done);
    const peakMegabytes = Math.round(Number(stdout) / 1024);
    expect(peakMegabytes).toBeGreaterThan(0);
    return { stderr, peakMegabytes, seconds: Math.round((Date.now() - startedAt) / 1000) };
  };
});
