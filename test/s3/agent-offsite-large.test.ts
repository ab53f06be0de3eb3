import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../agent/exit-codes.ts";
import type { Manifest } from "../../agent/manifest.ts";
import { startAgent, type TestAgent } from "../support/agent.ts";
import { makeBucket, type TestBucket } from "../support/bucket.ts";
import { makeLargeBackup } from "../support/large-backup.ts";
import { startMinio, type TestMinio } from "../support/minio.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const MB = 1024 * 1024;
/** Whatever the size of a backup. */
const MOST_MEMORY_MB = 200;

describe("a backup of 2 GB", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let bucket: TestBucket;
  let agent: TestAgent;
  let file: string;

  beforeAll(async () => {
    [minio, postgres] = await Promise.all([
      startMinio(),
      startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
    ]);
    const client = new pg.Client({ connectionString: postgres.url("budgie_dev") });
    await client.connect();
    await client.query(
      "CREATE TABLE entries AS SELECT n AS id, repeat(md5(n::text), 3) AS note FROM generate_series(1, 80000) n",
    );
    await client.end();
    const taker = await startAgent(postgres, { database: "budgie_dev" });
    const { file: small } = JSON.parse((await taker.run(["backup", "--json"])).stdout);
    bucket = await makeBucket(minio);
    agent = await startAgent(postgres, {
      database: "budgie_dev",
      store: { kind: "local", endpoint: minio.endpoint, bucket: bucket.bucket, writer: bucket.writer },
    });
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

  /** Runs a command of the agent; its peak memory is the most that the kernel had counted while it ran. */
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
