import type pg from "pg";
import { SLOT } from "../../shared/replication-slot.ts";
import { humanSize } from "../base/reporter.ts";
import { isReplicaSlot, type Replica, readReplicas } from "./replicas.ts";

/** What the server says of itself. */
export interface ServerFigures {
  /** `16.14` */
  version: string;
  startedAt: string;
  connections: number;
  maxConnections: number;
  checksums: boolean;
  /** Pages whose checksum was wrong when they were read, since the server's statistics began. */
  damagedPages: number;
  slots: Slot[];
  replicas: Replica[];
}

export interface Slot {
  name: string;
  kind: "physical" | "logical";
  /** Of a logical one. */
  database: string | null;
  /** Whether somebody reads from it at this moment. */
  active: boolean;
  /** How much WAL the server keeps for it; null when it does not say, as for one that is lost. */
  retainedBytes: number | null;
  /** `lost`: the server has removed WAL that was not read. */
  walStatus: string | null;
}

/** What a slot that nobody reads from may hold back before it is a note, and before it is a problem: it only grows. */
const IDLE_NOTE_BYTES = 64 * 2 ** 20;
const IDLE_PROBLEM_BYTES = 256 * 2 ** 20;
/** What a reader may be behind. */
const BEHIND_BYTES = 4 * 2 ** 30;

export async function readServerFigures(session: pg.Client): Promise<ServerFigures> {
  const { rows } = await session.query<{
    version: string;
    started_at: Date;
    connections: number;
    max_connections: number;
    checksums: boolean;
    damaged: string;
  }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
            pg_postmaster_start_time() AS started_at,
            (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
            current_setting('max_connections')::int AS max_connections,
            current_setting('data_checksums') = 'on' AS checksums,
            (SELECT coalesce(sum(checksum_failures), 0)::text FROM pg_stat_database) AS damaged`,
  );
  const row = rows[0];
  if (!row) throw new Error("the server said nothing of itself");
  return {
    version: row.version,
    startedAt: row.started_at.toISOString(),
    connections: row.connections,
    maxConnections: row.max_connections,
    checksums: row.checksums,
    damagedPages: Number(row.damaged),
    slots: await readSlots(session),
    replicas: await readReplicas(session),
  };
}

async function readSlots(session: pg.Client): Promise<Slot[]> {
  const { rows } = await session.query<{
    slot_name: string;
    slot_type: Slot["kind"];
    database: string | null;
    active: boolean;
    retained: string | null;
    wal_status: string | null;
  }>(
    `SELECT slot_name, slot_type, database, active, wal_status,
            pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text AS retained
       FROM pg_replication_slots WHERE NOT temporary ORDER BY slot_name`,
  );
  return rows.map(row => ({
    name: row.slot_name,
    kind: row.slot_type,
    database: row.database,
    active: row.active,
    retainedBytes: row.retained === null ? null : Math.max(0, Number(row.retained)),
    walStatus: row.wal_status,
  }));
}

/** PostgreSQL itself goes on with damaged pages in a table until somebody reads them, as a backup does. */
export function judgePages({ damagedPages }: Pick<ServerFigures, "damagedPages">): string[] {
  if (damagedPages === 0) return [];
  return [
    `PostgreSQL has read ${damagedPages} damaged pages of data (wrong checksums): the disk or the memory of this machine is failing. Move to another machine, and restore the newest proven backup there.`,
  ];
}

/** Close to the limit, the next client is refused, and the next backup with it. */
export function noteConnections({ connections, maxConnections }: ServerFigures): string[] {
  if (connections < 0.9 * maxConnections) return [];
  return [
    `${connections} of ${maxConnections} connections are taken. Who has them: npx budgie psql -- -c "SELECT pid, usename, application_name, state, state_change FROM pg_stat_activity"`,
  ];
}

/**
 * Slots other than the stack's own, which point in time and the replicas judge, and those of databases that a restore set aside.
 * @param judged the names of those that others have judged
 */
export function judgeSlots(
  slots: readonly Slot[],
  judged: readonly string[],
): { problems: string[]; notes: string[] } {
  const others = slots.filter(({ name }) => !judged.includes(name) && !isReplicaSlot(name));
  const idle = (from: number, to: number) =>
    others.filter(({ active, retainedBytes: kept }) => !active && kept !== null && kept >= from && kept < to);
  const behind = others.filter(({ active, retainedBytes }) => active && (retainedBytes ?? 0) >= BEHIND_BYTES);
  return {
    problems: idle(IDLE_PROBLEM_BYTES, Number.POSITIVE_INFINITY).map(describeIdle),
    notes: [
      ...idle(IDLE_NOTE_BYTES, IDLE_PROBLEM_BYTES).map(describeIdle),
      ...behind.map(
        ({ name, retainedBytes }) =>
          `Who reads from the replication slot ${name} is ${humanSize(retainedBytes ?? 0)} behind the server, which keeps that much WAL.`,
      ),
    ],
  };
}

function describeIdle({ name, retainedBytes }: Slot): string {
  const who =
    name === SLOT ? "point in time, which is switched off" : "whoever made it, who is not connected";
  return `The replication slot ${name} keeps the server from removing WAL (${humanSize(retainedBytes ?? 0)}, and growing) for ${who}. If nobody reads from it any more, drop it: npx budgie psql -- -c "SELECT pg_drop_replication_slot('${name}')"`;
}

export function shownSlots(slots: readonly Slot[]): string {
  if (slots.length === 0) return "none";
  return slots
    .map(({ name, active, retainedBytes, walStatus }) => {
      const holds =
        walStatus === "lost" || retainedBytes === null ? "lost" : `holds ${humanSize(retainedBytes)}`;
      return `${name} ${holds}${active ? "" : ", nobody reads from it"}`;
    })
    .join("; ");
}
