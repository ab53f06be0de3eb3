import type pg from "pg";
import { REPLICA_SLOT_PREFIX } from "../../shared/replica-name.ts";
import { humanSize } from "../base/reporter.ts";
import { seconds } from "./shown-seconds.ts";

/** A replica as the database sees it. */
export interface Replica {
  name: string;
  /** What it does: `streaming` when it follows, `backup` while it is copied; null when it is away. */
  state: string | null;
  /** What was committed and is not on its disk yet: what would be lost without the database's machine. null: it cannot go on from there. */
  lagBytes: number | null;
  /** How long a change took lately until it could be seen there; null when nothing has changed lately, or it is away. */
  lagSeconds: number | null;
  /** Whether commits wait for it, or for another one. */
  synchronous: boolean;
  /** `lost`: the database has removed what it had still to send. */
  walStatus: string | null;
}

/** More than this is worth a word; it may be a large import. */
const BEHIND_BYTES = 256 * 2 ** 20;

/** By the slots: the stack makes one for each replica, and drops it with the replica. */
export async function readReplicas(session: pg.Client): Promise<Replica[]> {
  const { rows } = await session.query<{
    slot_name: string;
    state: string | null;
    lag_bytes: string | null;
    lag_seconds: string | null;
    synchronous: boolean;
    wal_status: string | null;
  }>(
    `SELECT slot_name, wal_status,
            CASE WHEN r.state IS NULL AND EXISTS (SELECT FROM pg_stat_replication
                                                   WHERE application_name = 'copy_' || left(slot_name, 58))
                 THEN 'backup' ELSE r.state END AS state,
            pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.flush_lsn, restart_lsn))::text AS lag_bytes,
            extract(epoch FROM r.replay_lag)::text AS lag_seconds,
            position(format('"%s"', slot_name) IN current_setting('synchronous_standby_names')) > 0 AS synchronous
       FROM pg_replication_slots
       LEFT JOIN pg_stat_replication r ON r.application_name = slot_name
      WHERE starts_with(slot_name::text, $1) AND slot_type = 'physical' ORDER BY slot_name`,
    [REPLICA_SLOT_PREFIX],
  );
  return rows.map(row => ({
    name: row.slot_name.slice(REPLICA_SLOT_PREFIX.length),
    state: row.state,
    lagBytes: row.lag_bytes === null || row.wal_status === "lost" ? null : Math.max(0, Number(row.lag_bytes)),
    lagSeconds: row.lag_seconds === null ? null : Number(row.lag_seconds),
    synchronous: row.synchronous,
    walStatus: row.wal_status,
  }));
}

export function isReplicaSlot(name: string): boolean {
  return name.startsWith(REPLICA_SLOT_PREFIX);
}

export function shownReplicas(replicas: readonly Replica[]): string {
  return replicas
    .map(({ name, state, lagBytes, lagSeconds, synchronous, walStatus }) => {
      if (state === "backup") return `${name} is being copied`;
      if (walStatus === "lost") return `${name} must be copied anew`;
      const behind = lagBytes === 0 ? "has everything" : `${humanSize(lagBytes ?? 0)} behind`;
      if (state === null) return `${name} is away, ${behind}`;
      const took = lagSeconds === null ? "" : `, shown there after ${seconds(lagSeconds)}`;
      return `${name} ${state}, ${behind}${took}${synchronous ? ", commits wait for it" : ""}`;
    })
    .join("; ");
}

/** @param logs the command that shows a replica's own log, on its machine */
export function judgeReplicas(
  replicas: readonly Replica[],
  logs: string,
): { problems: string[]; notes: string[] } {
  const away = replicas.filter(({ state, walStatus }) => state === null && walStatus !== "lost");
  const lost = replicas.filter(({ walStatus, state }) => walStatus === "lost" && state === null);
  const synchronous = replicas.filter(({ synchronous }) => synchronous);
  const nobody = synchronous.length > 0 && synchronous.every(({ state }) => state !== "streaming");
  const behind = replicas.filter(({ state, lagBytes }) => state !== null && (lagBytes ?? 0) >= BEHIND_BYTES);
  return {
    problems: [
      ...(nobody
        ? [
            "Every commit waits for a replica, and none is there. Bring one back, or have commits wait no longer: npm run pulumi -- config set budgie:replicaSynchronous false && npm run up",
          ]
        : []),
      ...away.map(
        ({ name, lagBytes }) =>
          `The replica ${name} is away, and ${humanSize(lagBytes ?? 0)} behind. When its machine runs, its own log says why: ${logs}`,
      ),
      ...lost.map(
        ({ name }) =>
          `The replica ${name} was away for too long: the database no longer has what it must send (budgie:replicaKeepMegabytes). As soon as it is back it copies everything anew by itself. Its own log, on its machine: ${logs}`,
      ),
    ],
    notes: behind.map(
      ({ name, lagBytes }) =>
        `The replica ${name} is ${humanSize(lagBytes ?? 0)} behind. Without this machine, that much would be lost.`,
    ),
  };
}
