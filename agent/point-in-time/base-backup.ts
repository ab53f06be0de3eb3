import { createReadStream } from "node:fs";
import { chown, copyFile, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, startReader, startWriter } from "../base/child-process.ts";
import { isPartial, replaceFile, requireSpace, watchReserve } from "../base/durable-file.ts";
import { hashFile } from "../base/hashing.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { endReplicationClientsIn, runReplicationClient } from "../server/replication-client.ts";
import { THROWAWAY_SHOWN, type ThrowawayPlace, withThrowawayPlace } from "../throwaway/place.ts";
import { type BaseRecord, textOfBaseRecord } from "./base-record.ts";
import { baseFolder, type Chain, compactTime, makeFolder, namesIn } from "./wal-chain.ts";

const WATCH_EVERY_MS = 500;
const PARTIAL = ".partial-";

const backupManifest = z.object({
  "WAL-Ranges": z
    .array(z.object({ Timeline: z.number(), "Start-LSN": z.string(), "End-LSN": z.string() }))
    .length(1),
});

/**
 * Copies the whole cluster, as it lies on the server's disk, and has pg_verifybackup compare every file of the copy with
 * PostgreSQL's own manifest. At any kill there is a whole base backup, or no record and so no base backup. Throws a Stop.
 */
export async function takeBaseBackup(
  settings: AgentSettings,
  chain: Chain,
  report: Reporter,
  signal: AbortSignal,
): Promise<BaseRecord> {
  const folder = baseFolder(chain);
  await endReplicationClientsIn(folder);
  await removeLeftoverBases(folder);
  const cluster = await describeCluster(settings);
  const name = compactTime(new Date());
  const partial = join(folder, `${PARTIAL}${name}`);
  await requireSpace(settings.backupDir, settings.backupDirShown, await expectedBytes(folder, cluster.bytes));
  try {
    await copyCluster(settings, partial, signal);
    const consistentAt = await serverTime(settings);
    await verifyCopy(partial, cluster.bytes, signal);
    const { Timeline, "Start-LSN": startLsn, "End-LSN": stopLsn } = await walRange(partial);
    const files = [];
    for (const [from, to] of [
      ["base.tar.gz", `${name}.tar.gz`],
      ["backup_manifest", `${name}.manifest`],
    ] as const)
      files.push({ name: to, ...(await hashFile(join(partial, from))), from });
    for (const file of files) await rename(join(partial, file.from), join(folder, file.name));
    const record: BaseRecord = {
      format: 1,
      name,
      stack: settings.stack,
      systemIdentifier: cluster.systemIdentifier,
      timeline: Timeline,
      segmentBytes: cluster.segmentBytes,
      startLsn,
      stopLsn,
      consistentAt,
      serverVersion: cluster.serverVersion,
      clusterBytes: cluster.bytes,
      parameters: cluster.parameters,
      files: files.map(({ from, ...file }) => file),
    };
    // This makes the folder durable too, and with it the names of the files.
    await replaceFile(join(folder, `${name}.json`), textOfBaseRecord(record));
    report.done(
      `Base backup ${name} taken and verified (Size: ${humanSize(files.reduce((sum, { bytes }) => sum + bytes, 0))})`,
    );
    return record;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Removes what a killed run has left: the folder that it wrote into, and files that have their names but no record. */
async function removeLeftoverBases(folder: string): Promise<void> {
  const names = await namesIn(folder);
  const recorded = new Set(
    names.filter(name => name.endsWith(".json")).map(name => name.replace(/\.json$/, "")),
  );
  for (const name of names) {
    const isFile = /\.(tar\.gz|manifest)$/.test(name);
    if (isPartial(name) || (isFile && !recorded.has(name.replace(/\..*$/, ""))))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

interface Cluster {
  systemIdentifier: string;
  segmentBytes: number;
  serverVersion: string;
  bytes: number;
  parameters: Record<string, string>;
}

async function describeCluster(settings: AgentSettings): Promise<Cluster> {
  const session = await connectToMaintenance(settings, "budgie base backup");
  try {
    const { rows } = await session.query<{
      system_identifier: string;
      segment_bytes: string;
      version: string;
      bytes: string;
      libraries: string;
      prepared: string;
      tablespaces: string[];
    }>(
      `SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
              (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes,
              split_part(current_setting('server_version'), ' ', 1) AS version,
              (SELECT sum(pg_database_size(oid))::bigint::text FROM pg_database) AS bytes,
              current_setting('shared_preload_libraries') AS libraries,
              current_setting('max_prepared_transactions') AS prepared,
              ARRAY(SELECT spcname::text FROM pg_tablespace WHERE spcname !~ '^pg_') AS tablespaces`,
    );
    const row = rows[0];
    if (!row) throw new Error("the server did not say what it is like");
    if (row.tablespaces.length > 0) {
      throw new Stop(
        EXIT.failed,
        `The server has tablespaces (${row.tablespaces.join(", ")}), which base backups here do not cover.`,
        "Move what is in them to pg_default and drop them, or switch off budgie:pointInTime.",
      );
    }
    return {
      systemIdentifier: row.system_identifier,
      segmentBytes: Number(row.segment_bytes),
      serverVersion: row.version,
      bytes: Number(row.bytes),
      parameters: { shared_preload_libraries: row.libraries, max_prepared_transactions: row.prepared },
    };
  } finally {
    await session.end();
  }
}

/** The newest base backup's size and a tenth more. For the first one the cluster's size, which is more than the compressed copy needs. */
async function expectedBytes(folder: string, clusterBytes: number): Promise<number> {
  const newest = (await namesIn(folder)).findLast(name => name.endsWith(".tar.gz"));
  return newest ? Math.ceil((await stat(join(folder, newest))).size * 1.1) : clusterBytes;
}

async function copyCluster(settings: AgentSettings, partial: string, signal: AbortSignal): Promise<void> {
  await makeFolder(settings, partial);
  const full = new AbortController();
  const stopWatching = watchReserve(partial, settings.backupDirShown, WATCH_EVERY_MS, why => full.abort(why));
  try {
    await runReplicationClient(
      settings,
      "pg_basebackup",
      [
        `--pgdata=${partial}`,
        "--format=tar",
        "--compress=client-gzip:1",
        // The chain has it already.
        "--wal-method=none",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--no-estimate-size",
        "--label=budgie",
      ],
      AbortSignal.any([signal, full.signal]),
    );
  } finally {
    stopWatching();
    await endReplicationClientsIn(dirname(partial));
  }
}

/** Unpacks the copy, because pg_verifybackup 16 reads no archives. */
function verifyCopy(partial: string, clusterBytes: number, signal: AbortSignal): Promise<void> {
  return withThrowawayPlace("base-backup", "verifying a base backup", async place => {
    const data = join(place.directory, "data");
    await requireSpace(place.directory, THROWAWAY_SHOWN, clusterBytes);
    await unpackBase(createReadStream(join(partial, "base.tar.gz")), data, place, signal);
    const manifest = join(place.directory, "backup_manifest");
    await copyFile(join(partial, "backup_manifest"), manifest);
    await chown(manifest, place.postgres.uid, place.postgres.gid);
    const { finished } = startReader(
      "pg_verifybackup",
      ["--no-parse-wal", "--exit-on-error", `--manifest-path=${manifest}`, data],
      "pipe",
      signal,
      { ...place.postgres, env: { PATH: process.env.PATH, LC_ALL: "C" } },
    );
    const end = await finished;
    signal.throwIfAborted();
    if (end.code !== 0)
      throw new Stop(
        EXIT.unusableBackup,
        `The base backup is not whole; pg_verifybackup ended with ${describeEnd(end)}.`,
        "The agent takes another one by itself. If that fails too, pages of the database may be damaged: npx budgie logs db",
      );
  });
}

/** Fills a data directory, as PostgreSQL's own user, from a base backup's archive. Throws a Stop. */
export async function unpackBase(
  archive: AsyncIterable<Uint8Array>,
  dataDirectory: string,
  { postgres }: Pick<ThrowawayPlace, "postgres">,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dataDirectory, { mode: 0o700 });
  await chown(dataDirectory, postgres.uid, postgres.gid);
  const { input, finished } = startWriter("tar", ["-x", "-f", "-", "-C", dataDirectory], signal, {
    ...postgres,
    env: { PATH: process.env.PATH },
  });
  const piped = await pipeline(archive, createGunzip(), input, { signal }).then(
    () => null,
    (error: Error) => error,
  );
  const end = await finished;
  signal.throwIfAborted();
  if (piped instanceof Stop) throw piped;
  if (piped !== null || end.code !== 0)
    throw new Stop(
      EXIT.unusableBackup,
      `The base backup cannot be unpacked: ${end.code === 0 ? piped?.message : `tar ended with ${describeEnd(end)}`}.`,
      "Recover from another base backup, to a moment before this one or with `--from s3`.",
    );
}

async function walRange(partial: string) {
  const parsed = backupManifest.parse(JSON.parse(await readFile(join(partial, "backup_manifest"), "utf8")));
  const range = parsed["WAL-Ranges"][0];
  if (!range) throw new Error("the base backup's manifest names no WAL");
  return range;
}

/** Asked after the copy's last byte, so whatever was committed by then is in the copy, or in the WAL that follows. */
async function serverTime(settings: AgentSettings): Promise<string> {
  const session = await connectToMaintenance(settings, "budgie base backup");
  try {
    const { rows } = await session.query<{ at: string }>(
      "SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::text AS at",
    );
    return new Date(Number(rows[0]?.at)).toISOString();
  } finally {
    await session.end();
  }
}
