import { Gauge, Registry } from "prom-client";
import { LEVELS } from "../../shared/status-lines.ts";
import type { Facts } from "../status/facts.ts";
import type { Status } from "../status/status.ts";
import type { Board } from "./board.ts";

/** One sample; without a value it is left out: what is not known is not zero. */
interface Sample {
  labels?: Record<string, string>;
  value: number | boolean | null | undefined;
}

interface Metric {
  help: string;
  labels?: readonly string[];
  samples(status: Status): readonly Sample[];
}

const one = (value: Sample["value"]): Sample[] => [{ value }];

/** All there are, by name. Moments are in seconds since 1970, and not ages: so a stalled agent cannot make them look young. */
export const METRICS: Readonly<Record<string, Metric>> = {
  budgie_info: {
    help: "What is looked at.",
    labels: ["stack", "database", "postgresql"],
    samples: ({ stack, database, versions }) => [
      { labels: { stack, database: database?.name ?? "", postgresql: versions.server ?? "" }, value: 1 },
    ],
  },
  budgie_status_timestamp_seconds: {
    help: "When the agent last looked at everything.",
    samples: ({ at }) => one(moment(at)),
  },
  budgie_fine: {
    help: "1 when everything is as it should be.",
    samples: ({ fine }) => one(fine),
  },
  budgie_status_level: {
    help: "How a line of the status is: 0 OK, 1 WARN, 2 unknown, 3 FAIL.",
    labels: ["line"],
    samples: ({ lines }) =>
      lines.map(({ id, level }) => ({ labels: { line: id }, value: LEVELS.indexOf(level) })),
  },
  budgie_collector_success: {
    help: "1 when what is asked was answered. Without an answer its samples are left out.",
    labels: ["collector"],
    samples: ({ collectors }) =>
      Object.entries(collectors).map(([collector, value]) => ({ labels: { collector }, value })),
  },
  budgie_backup_last_success_timestamp_seconds: {
    help: "When the newest backup that counts was whole.",
    samples: ({ backups }) => one(moment(backups.newest?.finishedAt)),
  },
  budgie_last_failure_timestamp_seconds: {
    help: "When the last run failed; left out when it succeeded.",
    labels: ["operation"],
    samples: ({ lastRun, lastDrill, lastPointInTimeDrill, lastRestore, lastRefresh }) =>
      [lastRun, lastDrill, lastPointInTimeDrill, lastRestore, lastRefresh]
        .filter(
          (run, at, all) => run !== null && all.findIndex(other => other?.operation === run.operation) === at,
        )
        .map(run => ({
          labels: { operation: run?.operation ?? "" },
          value: run?.outcome === "failed" ? moment(run.finishedAt) : null,
        })),
  },
  budgie_backup_next_timestamp_seconds: {
    help: "When the next backup starts by itself.",
    samples: ({ next }) => one(moment(next?.at)),
  },
  budgie_backup_size_bytes: {
    help: "Of the newest backup.",
    samples: ({ backups }) => one(backups.newest?.bytes),
  },
  budgie_backup_duration_seconds: {
    help: "How long the newest backup took.",
    samples: ({ backups: { newest } }) => one(newest && between(newest.startedAt, newest.finishedAt)),
  },
  budgie_backups: {
    help: "How many backups count.",
    samples: ({ backups, collectors }) => one(collectors.backups ? backups.count : null),
  },
  budgie_backup_directory_free_bytes: {
    help: "Free where the backups are.",
    samples: ({ backups, collectors }) => one(collectors.disk ? backups.freeBytes : null),
  },
  budgie_proof_last_success_timestamp_seconds: {
    help: "When a drill last proved a backup by restoring it.",
    samples: ({ backups }) => one(moment(backups.newestProven?.provenAt)),
  },
  budgie_proven_backup_timestamp_seconds: {
    help: "When the newest proven backup was taken.",
    samples: ({ backups }) => one(moment(backups.newestProven?.startedAt)),
  },
  budgie_drill_duration_seconds: {
    help: "How long that drill took: about as long as a restore.",
    samples: ({ backups }) => one(backups.newestProven?.seconds),
  },
  budgie_restore_duration_seconds: {
    help: "How long the last restore took.",
    samples: ({ lastRestore }) =>
      one(
        lastRestore?.outcome === "done" && lastRestore.finishedAt !== null
          ? between(lastRestore.startedAt, lastRestore.finishedAt)
          : null,
      ),
  },
  budgie_refresh_last_success_timestamp_seconds: {
    help: "When the data of budgie:refreshFrom last took the place of the stack's own; left out when the last try failed.",
    samples: ({ lastRefresh }) =>
      one(lastRefresh?.outcome === "done" ? moment(lastRefresh.finishedAt) : null),
  },
  budgie_refresh_next_timestamp_seconds: {
    help: "When that happens next by itself.",
    samples: ({ refresh }) => one(moment(refresh?.next?.at)),
  },
  budgie_recoverable_from_timestamp_seconds: {
    help: "The first moment that can be gone back to; with point in time.",
    samples: ({ pointInTime }) => one(moment(pointInTime?.earliest)),
  },
  budgie_recoverable_until_timestamp_seconds: {
    help: "The last moment that can be gone back to: what was committed later would be lost with this machine's database.",
    samples: ({ recovery }) => one(moment(recovery.pointAt)),
  },
  budgie_recoverable_gaps: {
    help: "How many spans between the two cannot be gone back to.",
    samples: ({ pointInTime }) => one(pointInTime?.gaps.length),
  },
  budgie_wal_receiving: {
    help: "1 while WAL is received.",
    samples: ({ pointInTime }) => one(pointInTime?.receiving),
  },
  budgie_wal_lag_bytes: {
    help: "How much WAL the receiver is behind the server.",
    samples: ({ pointInTime }) => one(pointInTime?.slotLagBytes),
  },
  budgie_point_in_time_proof_last_success_timestamp_seconds: {
    help: "When a drill last proved that a moment can be gone back to; left out when the last one failed.",
    samples: ({ pointInTime }) =>
      one(pointInTime?.drill?.outcome === "good" ? moment(pointInTime.drill.at) : null),
  },
  budgie_point_in_time_drill_duration_seconds: {
    help: "How long that drill took.",
    samples: ({ pointInTime }) => one(pointInTime?.drill?.seconds),
  },
  budgie_point_in_time_damaged_files: {
    help: "Base backups and segments that are not as they were recorded, or missing.",
    samples: ({ pointInTime }) => one(pointInTime?.damaged),
  },
  budgie_pending_copies: {
    help: "How many backups a destination is to have and does not, as far as is known here.",
    labels: ["destination"],
    samples: ({ offsite, offsiteSsh }) => [
      { labels: { destination: "store" }, value: offsite?.missing },
      { labels: { destination: "ssh" }, value: offsiteSsh?.missing },
    ],
  },
  budgie_pending_wal_segments: {
    help: "How many segments of WAL the store is to have and does not.",
    samples: ({ pointInTime }) => one(pointInTime?.unsent?.segments),
  },
  budgie_copy_last_success_timestamp_seconds: {
    help: "When the last try to send what is missing succeeded; left out when it failed.",
    labels: ["destination"],
    samples: ({ offsite, offsiteSsh }) => [
      { labels: { destination: "store" }, value: sentAt(offsite) },
      { labels: { destination: "ssh" }, value: sentAt(offsiteSsh) },
    ],
  },
  budgie_database_size_bytes: {
    help: "Of the database on the server's disk.",
    samples: ({ database }) => one(database?.bytes),
  },
  budgie_database_tables: {
    help: "How many tables the database has.",
    samples: ({ database }) => one(database?.tables),
  },
  budgie_database_connections: {
    help: "Connections of clients.",
    samples: ({ server }) => one(server?.connections),
  },
  budgie_database_connections_max: {
    help: "How many there may be.",
    samples: ({ server }) => one(server?.maxConnections),
  },
  budgie_database_damaged_pages: {
    help: "Pages that were read with a wrong checksum; left out where the database has no checksums.",
    samples: ({ server }) => one(server?.checksums ? server.damagedPages : null),
  },
  budgie_replica_following: {
    help: "1 while a replica follows the database.",
    labels: ["replica"],
    samples: ({ server }) =>
      (server?.replicas ?? []).map(({ name, state }) => ({
        labels: { replica: name },
        value: state === "streaming",
      })),
  },
  budgie_replica_lag_bytes: {
    help: "What was committed and is not on the replica's disk yet; left out when it must be copied anew.",
    labels: ["replica"],
    samples: ({ server }) =>
      (server?.replicas ?? []).map(({ name, lagBytes }) => ({ labels: { replica: name }, value: lagBytes })),
  },
  budgie_replica_lag_seconds: {
    help: "How long a change took lately until it could be seen on the replica.",
    labels: ["replica"],
    samples: ({ server }) =>
      (server?.replicas ?? []).map(({ name, lagSeconds }) => ({
        labels: { replica: name },
        value: lagSeconds,
      })),
  },
  budgie_replication_slot_retained_bytes: {
    help: "How much WAL the server keeps for a slot.",
    labels: ["slot"],
    samples: ({ server }) =>
      (server?.slots ?? []).map(({ name, retainedBytes }) => ({
        labels: { slot: name },
        value: retainedBytes,
      })),
  },
  budgie_replication_slot_active: {
    help: "1 while somebody reads from a slot.",
    labels: ["slot"],
    samples: ({ server }) =>
      (server?.slots ?? []).map(({ name, active }) => ({ labels: { slot: name }, value: active })),
  },
};

/** In the text format of Prometheus. Empty until the agent has looked: a series that is missing can be alerted on. */
export async function metricsText({ seen }: Board): Promise<string> {
  const registry = new Registry();
  if (seen)
    for (const [name, metric] of Object.entries(METRICS)) register(registry, name, metric, seen.status);
  return registry.metrics();
}

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

function register(
  registry: Registry,
  name: string,
  { help, labels = [], samples }: Metric,
  status: Status,
): void {
  const known = samples(status).filter(({ value }) => value !== null && value !== undefined);
  if (known.length === 0) return;
  const gauge = new Gauge({ name, help, labelNames: [...labels], registers: [registry] });
  for (const { labels: of = {}, value } of known) gauge.set(of, Number(value));
}

function moment(at: string | null | undefined): number | null {
  return at === null || at === undefined ? null : Date.parse(at) / 1000;
}

function between(from: string, until: string): number {
  return (Date.parse(until) - Date.parse(from)) / 1000;
}

function sentAt(copies: Facts["offsite"] | Facts["offsiteSsh"]): number | null {
  return moment(copies?.lastAttempt?.doneAt);
}
