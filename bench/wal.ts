import { setTimeout as delay } from "node:timers/promises";
import { collectFromContainer } from "../engine/run-in-container.ts";
import { startAgent } from "../test/support/agent/agent.ts";
import { letReceive } from "../test/support/agent/point-in-time.ts";
import { query } from "../test/support/database/query.ts";
import { startPostgres } from "../test/support/servers/postgres.ts";
import { until } from "../test/support/until.ts";
import { median } from "./median.ts";
import { alternate } from "./timed.ts";

/** What pgbench loads, at the machine's limit and at half of it, lose while the agent receives the server's WAL, in paired runs. */
const PAIRS = Number(process.env.BENCH_PAIRS ?? 5);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 15);
const CLIENTS = 4;
const LOAD = [`--client=${CLIENTS}`, "--jobs=2", `--time=${SECONDS}`, "--no-vacuum"];

const postgres = await startPostgres();
await query(postgres, "postgres", "CREATE DATABASE budgie_dev");
await letReceive(postgres);
await pgbench("--initialize", "--quiet", "--scale=10");
const agent = await startAgent(postgres, {
  database: "budgie_dev",
  environment: { BUDGIE_POINT_IN_TIME: "true" },
});
try {
  await caughtUp();
  // The first base backup is not part of it.
  await delay(10_000);
  await pgbench(...LOAD);
  const alone = await compare("as fast as it goes", []);
  await compare("at half of that rate", [`--rate=${Math.round(alone / 2)}`]);
} finally {
  await agent.stop();
  await postgres.stop();
}

/** Returns the load's rate alone. */
async function compare(what: string, pace: string[]): Promise<number> {
  const [without, received]: [number[], number[]] = [[], []];
  await alternate(
    PAIRS,
    async () => {
      // Stopped, not paused: the slot stays, and what was missed is received before the next turn is measured.
      await agent.container.stop();
      without.push(await rate(pace));
      await agent.container.start();
      await caughtUp();
    },
    async () => void received.push(await rate(pace)),
  );
  const ratios = received.map((rate, pair) => rate / (without[pair] ?? Number.NaN));
  console.log(`pgbench with ${CLIENTS} clients, ${what}, ${SECONDS} s each, medians of ${PAIRS}:`);
  console.log(`  alone            ${median(without).toFixed(0)} transactions a second`);
  console.log(`  WAL received     ${median(received).toFixed(0)} transactions a second`);
  console.log(
    `  ratio            ${median(ratios).toFixed(3)}, of ${ratios.map(ratio => ratio.toFixed(3)).join(", ")}`,
  );
  return median(without);
}

/** Transactions a second. */
async function rate(pace: string[]): Promise<number> {
  await query(postgres, "postgres", "CHECKPOINT");
  const found = /tps = ([\d.]+)/.exec(await pgbench(...LOAD, ...pace));
  return Number(found?.[1]);
}

async function pgbench(...args: string[]): Promise<string> {
  const command = ["pgbench", "-U", postgres.user, ...args, "budgie_dev"];
  const { code, stdout, stderr } = await collectFromContainer(postgres.container, command);
  if (code !== 0) throw new Error(`pgbench ended with ${code}: ${stderr}`);
  return stdout;
}

/** Waits until the receiver is connected and has everything. */
async function caughtUp(): Promise<void> {
  const receivers = () =>
    query<{ there: boolean }>(
      postgres,
      "postgres",
      "SELECT flush_lsn >= pg_current_wal_flush_lsn() AS there FROM pg_stat_replication WHERE application_name = 'pg_receivewal'",
    );
  const patience = { withinMs: 60_000, everyMs: 200 };
  await until("the WAL is received", receivers, ([receiver]) => receiver?.there === true, patience);
}
