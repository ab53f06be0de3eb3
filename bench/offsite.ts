import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { startAgent } from "../test/support/agent/agent.ts";
import { makeBucket } from "../test/support/agent/bucket.ts";
import { makeLargeBackup } from "../test/support/agent/large-backup.ts";
import { makeEntries } from "../test/support/database/entries.ts";
import { startMinio } from "../test/support/servers/minio.ts";
import { startPostgres } from "../test/support/servers/postgres.ts";
import { awsCli } from "../toolchain/machine/aws-cli.ts";
import { median } from "./median.ts";
import { alternate, type Timed, timed } from "./timed.ts";

/** What sending a backup costs beside `aws s3 cp` of the same file to the same server, in one paired run. */
const PAIRS = 5;
const MEGABYTES = Number(process.env.BENCH_MB ?? 1000);

const [minio, aws] = [await startMinio(), await awsCli()];
const postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
const bucket = await makeBucket(minio);
const store = {
  kind: "local" as const,
  endpoint: minio.endpoint,
  bucket: bucket.bucket,
  writer: bucket.writer,
};
const taker = await startAgent(postgres, { database: "budgie_dev" });
const agent = await startAgent(postgres, { database: "budgie_dev", store });
try {
  const file = await largeBackup();
  await pushOnce(file);
  const [agents, copies]: [number[], number[]] = [[], []];
  let peak = 0;
  await alternate(
    PAIRS,
    async () => {
      copies.push(await copyOnce(file));
    },
    async () => {
      const pushed = await pushOnce(file);
      agents.push(pushed.seconds);
      peak = Math.max(peak, pushed.peakMegabytes);
    },
  );
  console.log(`backup of ${MEGABYTES} MB, medians of ${PAIRS}:`);
  console.log(`  aws s3 cp        ${median(copies).toFixed(2)} s`);
  console.log(`  budgie push      ${median(agents).toFixed(2)} s`);
  console.log(`  ratio            ${(median(agents) / median(copies)).toFixed(2)}`);
  console.log(`  agent's peak     ${peak.toFixed(0)} MB of memory`);
} finally {
  await agent.stop();
  await taker.stop();
  await postgres.stop();
  await minio.stop();
}

async function largeBackup(): Promise<string> {
  await makeEntries(postgres, 80_000);
  const taken = await taker.run(["backup", "--json"]);
  if (taken.code !== 0) throw new Error(taken.stderr);
  const dump = join(taker.directory, JSON.parse(taken.stdout).file);
  return makeLargeBackup(dump, agent.directory, MEGABYTES * 1e6);
}

/** From nothing sent: wall time inside the container, hashing and manifest included, and the peak memory. */
async function pushOnce(file: string): Promise<Timed> {
  await bucket.empty();
  const path = join(agent.directory, file.replace(".sql", ".json"));
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), offsite: null }));
  return timed(agent, "budgie-agent push > /dev/null");
}

/** Its wall time, start of Python included. */
async function copyOnce(file: string): Promise<number> {
  await bucket.empty();
  const target = `s3://${bucket.bucket}/test/${file}`;
  const [program, ...command] = [...aws, "--endpoint-url", minio.endpoint, "s3", "cp", "--quiet"];
  const startedAt = performance.now();
  await execa(program, [...command, join(agent.directory, file), target], {
    env: {
      AWS_ACCESS_KEY_ID: minio.accessKeyId,
      AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
      AWS_DEFAULT_REGION: "us-east-1",
    },
  });
  return (performance.now() - startedAt) / 1000;
}
