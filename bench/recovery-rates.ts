// What scaling is computed from, beside docs/performance.md: how fast this machine copies a server, replays WAL, and dumps and loads
// with several jobs, and what the same data takes in each form. BENCH_MB sets the size of the plain dump, 1000 when not said.
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { collectFromContainer } from "../engine/run-in-container.ts";
import { query } from "../test/support/database/query.ts";
import { startPostgres } from "../test/support/servers/postgres.ts";
import { datasetSql, type Shape } from "./plain-tools-data.ts";
import { type JobsRate, RATES, type RecoveryRates } from "./scaling/rates.ts";

const MEGABYTES = Number(process.env.BENCH_MB ?? 1000);
const JOBS = [1, 2, 4];
const DATABASE = "budgie_dev";

const postgres = await startPostgres({ env: { POSTGRES_DB: DATABASE } });
try {
  const many = await load("500 small tables");
  const inMany = await withJobs("500 small tables");
  await load("one big table");
  const jobs = [...inMany, ...(await withJobs("one big table"))];
  const rates: RecoveryRates = {
    at: new Date().toISOString().slice(0, 10),
    cores: cpus().length,
    dumpBytes: many.dumpBytes,
    databaseBytes: many.databaseBytes,
    compressedBytes: await bytesOf(`pg_dump ${DATABASE} | gzip | wc -c`),
    jobs,
    ...(await baseAndReplay()),
  };
  await writeFile(RATES, `${JSON.stringify(rates, null, 2)}\n`);
  console.log(rates);
} finally {
  await postgres.stop();
}

async function load(shape: Shape): Promise<{ dumpBytes: number; databaseBytes: number }> {
  await query(postgres, "postgres", `DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
  await query(postgres, "postgres", `CREATE DATABASE ${DATABASE}`);
  await query(postgres, DATABASE, datasetSql({ shape, megabytes: MEGABYTES }));
  await query(postgres, DATABASE, "VACUUM ANALYZE");
  return {
    dumpBytes: await bytesOf(`pg_dump ${DATABASE} | wc -c`),
    databaseBytes: await bytesOf(`psql -AtX ${DATABASE} -c "SELECT pg_database_size('${DATABASE}')"`),
  };
}

async function withJobs(shape: Shape): Promise<JobsRate[]> {
  const measured: JobsRate[] = [];
  for (const jobs of JOBS) {
    await shell("rm -rf /var/lib/postgresql/dump && psql -qX postgres -c CHECKPOINT");
    const dump = await seconds(
      `pg_dump --format=directory --jobs=${jobs} --file=/var/lib/postgresql/dump ${DATABASE}`,
    );
    await shell("dropdb --if-exists loaded && createdb loaded && psql -qX postgres -c CHECKPOINT");
    const restore = await seconds(`pg_restore --jobs=${jobs} --dbname=loaded /var/lib/postgresql/dump`);
    await shell("dropdb loaded");
    measured.push({ shape, jobs, dumpSeconds: dump, restoreSeconds: restore });
  }
  return measured;
}

/** A base backup, then as much WAL as the database is large, then the recovery of both in a second server. */
async function baseAndReplay() {
  const base = "/var/lib/postgresql/base";
  await shell(
    "psql -qX postgres -c \"ALTER SYSTEM SET wal_keep_size = '16GB'\" -c 'SELECT pg_reload_conf()' -c CHECKPOINT",
  );
  const baseBackupSeconds = await seconds(
    `pg_basebackup --pgdata=${base} --wal-method=none --checkpoint=fast`,
  );
  const baseBytes = (await bytesOf(`du -sk ${base} | cut -f 1`)) * 1024;
  const before = await lsn();
  for (let round = 0; (await walSince(before)) < MEGABYTES * 1e6; round++) {
    await query(
      postgres,
      DATABASE,
      `UPDATE transactions_1 SET is_paid = NOT is_paid, updated_at = now() WHERE id % 10 = ${round % 10}`,
    );
  }
  await query(postgres, "postgres", "SELECT pg_switch_wal()");
  const walBytes = await walSince(before);
  const walCompressedBytes = await bytesOf(
    "sh -c 'cd $PGDATA/pg_wal && ls | grep -E \"^[0-9A-F]{24}$\" | tail -n 12 | head -n 8 | xargs cat | zstd -q -3 | wc -c'",
  );
  await shell(
    `cp $PGDATA/pg_wal/0* ${base}/pg_wal/ && touch ${base}/recovery.signal && printf "restore_command = 'false'\\nport = 5499\\nlogging_collector = off\\n" >> ${base}/postgresql.auto.conf`,
  );
  const { stdout } = await shell(
    `pg_ctl -D ${base} -w -t 600 -l /tmp/replay.log start > /dev/null; until psql -AtX -p 5499 postgres -c 'SELECT pg_is_in_recovery()' 2>/dev/null | grep -qx f; do sleep 0.2; done; grep 'redo done' /tmp/replay.log; pg_ctl -D ${base} -m immediate stop > /dev/null`,
  );
  const replaySeconds = Number(/elapsed: ([\d.]+) s/.exec(stdout)?.[1]);
  if (!Number.isFinite(replaySeconds))
    throw new Error(`the server does not say how long it replayed: ${stdout}`);
  return {
    baseBytes,
    baseBackupSeconds,
    walBytes,
    replaySeconds,
    walCompressedShare: walCompressedBytes / (8 * 16 * 1024 * 1024),
  };
}

async function lsn(): Promise<string> {
  const [row] = await query<{ at: string }>(postgres, "postgres", "SELECT pg_current_wal_lsn() AS at");
  return row?.at ?? "";
}

async function walSince(before: string): Promise<number> {
  const [row] = await query<{ bytes: string }>(
    postgres,
    "postgres",
    `SELECT pg_current_wal_lsn() - '${before}' AS bytes`,
  );
  return Number(row?.bytes);
}

async function bytesOf(command: string): Promise<number> {
  return Number((await shell(command)).stdout.trim());
}

async function seconds(command: string): Promise<number> {
  const now = "cut -d ' ' -f 1 /proc/uptime";
  const { stdout } = await shell(`${now}; ${command} > /dev/null || exit 1; ${now}`);
  const [start = 0, end = 0] = stdout.trim().split("\n").map(Number);
  return end - start;
}

/** In the server's container, as the one that the server runs as. Throws what it said when it fails. */
async function shell(script: string): Promise<{ stdout: string }> {
  const environment = `export PGUSER=${postgres.user} PGHOST=/var/run/postgresql;`;
  const command = ["su", "-s", "/bin/sh", "postgres", "-c", `${environment} ${script}`];
  const { code, stdout, stderr } = await collectFromContainer(postgres.container, command);
  if (code !== 0) throw new Error(`${script} failed: ${stderr}`);
  return { stdout };
}
