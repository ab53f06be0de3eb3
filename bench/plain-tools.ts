// What a backup, a restore and a drill cost beside PostgreSQL's own tools, on the same data, in one paired run.
// BENCH_MB sets the sizes, 10,100,1000 when not said. What is measured takes its place in docs/performance.md and its plot at once.
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import pg from "pg";
import { startAgent } from "../test/support/agent/agent.ts";
import { startPostgres } from "../test/support/servers/postgres.ts";
import { median } from "./median.ts";
import { type Dataset, datasetSql, SHAPES, type Shape } from "./plain-tools-data.ts";
import {
  PAGE,
  PLOT,
  RESULTS,
  type Result,
  ratio,
  readResults,
  withResults,
  withTable,
} from "./plain-tools-page.ts";
import { plot } from "./plain-tools-plot.ts";
import { alternate, timed } from "./timed.ts";

const SIZES = (process.env.BENCH_MB ?? "10,100,1000").split(",").map(Number);
/** Large ones take minutes each, and vary less. */
const pairsFor = (megabytes: number) => (megabytes < 50 ? 5 : megabytes < 500 ? 3 : 1);

const postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
const agent = await startAgent(postgres, { database: "budgie_dev" });
const server = new pg.Client({ connectionString: postgres.url() });
await server.connect();

interface Comparison {
  name: string;
  /** The plain tool's command line, and ours. */
  plain: string;
  own: string;
  /** Whether the stack's database is gone, as on a new machine: then there is nothing to save before it is restored. */
  withoutDatabase?: true;
}

const psql = (sql: string) =>
  `psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --dbname=plain --file=${sql} > /dev/null`;

/** `sql` and `dump` are backups that were taken before. */
const comparisons = (sql: string, dump: string): Comparison[] => [
  {
    name: "backup",
    plain: "pg_dump --dbname=budgie_dev --file=/backups/plain",
    own: "budgie-agent backup --format sql > /dev/null",
  },
  {
    name: "backup, gzip",
    plain: "{ pg_dump --dbname=budgie_dev | gzip > /backups/plain; }",
    own: "budgie-agent backup --format sql.gz > /dev/null",
  },
  {
    name: "backup, custom",
    plain: "pg_dump --dbname=budgie_dev --format=custom --file=/backups/plain",
    own: "budgie-agent backup --format dump > /dev/null",
  },
  {
    name: "restore",
    plain: psql(sql),
    own: `budgie-agent restore ${sql} > /dev/null`,
  },
  {
    name: "restore, new machine",
    plain: psql(sql),
    own: `budgie-agent restore ${sql} > /dev/null`,
    withoutDatabase: true,
  },
  {
    name: "restore, custom",
    plain: `pg_restore --jobs=2 --exit-on-error --dbname=plain ${dump}`,
    own: `budgie-agent restore ${dump} > /dev/null`,
  },
  {
    name: "drill",
    plain: psql(sql),
    own: `budgie-agent drill ${basename(sql)} > /dev/null`,
  },
];

try {
  for (const megabytes of SIZES) {
    for (const shape of Object.keys(SHAPES) as Shape[])
      await keepResults(await measure({ shape, megabytes }));
  }
} finally {
  await server.end();
  await agent.stop();
  await postgres.stop();
}

async function keepResults(results: Result[]): Promise<void> {
  const all = withResults(await readResults(), results);
  await writeFile(RESULTS, `${JSON.stringify(all, null, 2)}\n`);
  await writeFile(PAGE, await withTable(all));
  await writeFile(PLOT, plot(all));
}

async function measure(dataset: Dataset): Promise<Result[]> {
  await server.query("DROP DATABASE IF EXISTS budgie_dev WITH (FORCE)");
  await server.query("CREATE DATABASE budgie_dev");
  const client = new pg.Client({ connectionString: postgres.url("budgie_dev") });
  await client.connect();
  await client.query(datasetSql(dataset));
  await client.query("VACUUM ANALYZE");
  await client.end();
  await agent.clear();
  const [sql, dump] = [await keep("sql"), await keep("dump")];
  const measured: Result[] = [];
  for (const comparison of comparisons(sql, dump)) measured.push(await compare(dataset, comparison));
  return measured;
}

/** A backup in the backup directory that no comparison's clearing takes. */
async function keep(format: string): Promise<string> {
  const { code, stdout, stderr } = await agent.run(["backup", "--format", format, "--json"]);
  if (code !== 0) throw new Error(stderr);
  const { file } = JSON.parse(stdout) as { file: string };
  const stem = file.split(".")[0];
  await shell(`mkdir -p /backups/kept && cp /backups/${stem}.* /backups/kept/`);
  return `/backups/${file}`;
}

async function compare(dataset: Dataset, { name, plain, own, withoutDatabase }: Comparison): Promise<Result> {
  const [plainSeconds, ownSeconds]: [number[], number[]] = [[], []];
  let peakMegabytes = 0;
  await alternate(
    pairsFor(dataset.megabytes),
    async () => {
      await prepare();
      plainSeconds.push((await timed(agent, plain)).seconds);
    },
    async () => {
      await prepare();
      if (withoutDatabase) await server.query("DROP DATABASE budgie_dev WITH (FORCE)");
      const result = await timed(agent, own);
      ownSeconds.push(result.seconds);
      peakMegabytes = Math.max(peakMegabytes, result.peakMegabytes);
    },
  );
  const result: Result = {
    ...dataset,
    name,
    at: new Date().toISOString().slice(0, 10),
    plainSeconds: median(plainSeconds),
    ownSeconds: median(ownSeconds),
    pairs: plainSeconds.length,
    peakMegabytes: Math.round(peakMegabytes),
  };
  console.log(
    `${dataset.megabytes} MB, ${dataset.shape}, ${name}: ${result.plainSeconds.toFixed(2)} s plain, ` +
      `${result.ownSeconds.toFixed(2)} s own, ratio ${ratio(result).toFixed(2)}, peak ${result.peakMegabytes} MB`,
  );
  return result;
}

/** Every run finds the same: two backups, an empty database `plain`, nothing set aside, nothing left to write back. */
async function prepare(): Promise<void> {
  await shell("rm -f /backups/budgie_* /backups/plain && cp /backups/kept/* /backups/");
  const { rows } = await server.query<{ datname: string }>(
    "SELECT datname FROM pg_database WHERE datname = 'plain' OR datname LIKE 'budgie\\_dev\\_before\\_%'",
  );
  for (const { datname } of rows) await server.query(`DROP DATABASE ${datname} WITH (FORCE)`);
  await server.query("CREATE DATABASE plain");
  await server.query("CHECKPOINT");
  await shell("sync");
}

async function shell(script: string): Promise<void> {
  const { code, stderr } = await agent.exec(["sh", "-c", script]);
  if (code !== 0) throw new Error(`${script} failed: ${stderr}`);
}
