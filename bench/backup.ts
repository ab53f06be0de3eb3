import pg from "pg";
import { startAgent } from "../test/support/agent.ts";
import { startPostgres } from "../test/support/postgres.ts";

/** What a backup costs beside plain pg_dump into a file, on the same data, in one paired run. */
const PAIRS = 5;
const MEGABYTES = Number(process.env.BENCH_MB ?? 500);
/** One row is about 116 bytes of dump. */
const ROWS = Math.round((MEGABYTES * 1e6) / 116);

const postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
const agent = await startAgent(postgres, { database: "budgie_dev" });
try {
  const client = new pg.Client({ connectionString: postgres.url("budgie_dev") });
  await client.connect();
  await client.query(
    `CREATE TABLE entries AS SELECT n AS id, now() AS at, n / 100.0 AS amount, repeat(md5(n::text), 2) AS note
       FROM generate_series(1, ${ROWS}) n`,
  );
  await client.query("VACUUM ANALYZE");
  await client.end();

  await timed("pg_dump --dbname=budgie_dev > /backups/warm-up");
  const plain: number[] = [];
  const agents: number[] = [];
  let peak = 0;
  for (let pair = 0; pair < PAIRS; pair++) {
    const run = {
      plain: async () => plain.push((await timed("pg_dump --dbname=budgie_dev > /backups/plain")).seconds),
      agent: async () => {
        const result = await timed("budgie-agent backup > /dev/null");
        agents.push(result.seconds);
        peak = Math.max(peak, result.peakMegabytes);
      },
    };
    // Whoever goes second finds the caches warmer, so they take turns.
    if (pair % 2 === 0) {
      await run.plain();
      await run.agent();
    } else {
      await run.agent();
      await run.plain();
    }
    console.log(
      `pair ${pair + 1}: pg_dump ${plain.at(-1)?.toFixed(2)} s, backup ${agents.at(-1)?.toFixed(2)} s`,
    );
  }
  const { stdout: size } = await agent.exec(["sh", "-c", "cat /backups/budgie_*.sql | wc -c"]);
  console.log(`dump of ${(Number(size) / 1e6).toFixed(0)} MB, medians of ${PAIRS}:`);
  console.log(`  pg_dump > file   ${median(plain).toFixed(2)} s`);
  console.log(`  budgie backup    ${median(agents).toFixed(2)} s`);
  console.log(`  ratio            ${(median(agents) / median(plain)).toFixed(2)}`);
  console.log(`  agent's peak     ${peak.toFixed(0)} MB of memory`);
} finally {
  await agent.stop();
  await postgres.stop();
}

/** Wall time inside the container, and the peak memory of the process that the shell starts. */
async function timed(command: string): Promise<{ seconds: number; peakMegabytes: number }> {
  const script = `
    rm -f /backups/budgie_* /backups/plain
    start=$(cut -d ' ' -f 1 /proc/uptime)
    ${command} &
    pid=$!; peak=0
    while kill -0 $pid 2>/dev/null; do
      now=$(grep VmHWM /proc/$pid/status 2>/dev/null | tr -dc 0-9); peak=\${now:-$peak}; sleep 0.05
    done
    wait $pid || exit 1
    echo $start $(cut -d ' ' -f 1 /proc/uptime) $peak`;
  const { code, stdout, stderr } = await agent.exec(["sh", "-c", script]);
  if (code !== 0) throw new Error(`${command} failed: ${stderr}`);
  const [start = 0, end = 0, kilobytes = 0] = stdout.trim().split(" ").map(Number);
  return { seconds: end - start, peakMegabytes: kilobytes / 1024 };
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
