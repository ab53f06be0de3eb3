import type pg from "pg";
import { SLOT } from "../../shared/replication-slot.ts";
import { parseLsn } from "./wal-segment.ts";

/** Where the server's WAL is, and how far the receiver has got. */
export interface WalPosition {
  systemIdentifier: string;
  timeline: number;
  segmentBytes: number;
  /** Every transaction that was committed by then, in milliseconds of the server's clock, ended before `lsn`. */
  at: number;
  lsn: bigint;
  /** Which transactions have ended: while it stays the same, nothing was written. */
  snapshot: string;
  slot: SlotState | null;
}

export interface SlotState {
  /** A receiver is connected. */
  active: boolean;
  /** `lost`: the server has removed WAL that was not received. */
  walStatus: string | null;
  /** What the receiver has on its disk; null when none is connected. */
  flushLsn: bigint | null;
  /** How much WAL the server keeps for it, in bytes. */
  lagBytes: number | null;
  /** How much more the server may write before it removes what was not received; null without a bound. */
  safeBytes: number | null;
}

/** Asks for the time first and for the position then, so that everything committed by that time lies before that position. */
export async function readWalPosition(session: pg.Client): Promise<WalPosition> {
  const time = await session.query<{ at: string }>(
    "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::text AS at",
  );
  const { rows } = await session.query<{
    system_identifier: string;
    segment: string;
    segment_bytes: string;
    lsn: string;
    snapshot: string;
    active: boolean | null;
    wal_status: string | null;
    flush_lsn: string | null;
    lag_bytes: string | null;
    safe_bytes: string | null;
  }>(
    `SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
            pg_walfile_name(pg_current_wal_lsn()) AS segment,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes,
            -- Where a commit does not wait for a flush, it lies beyond what is flushed for an instant.
            CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
                 ELSE pg_current_wal_flush_lsn() END::text AS lsn,
            pg_current_snapshot()::text AS snapshot,
            slot.active, slot.wal_status, slot.safe_wal_size::text AS safe_bytes,
            pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(sender.flush_lsn, slot.restart_lsn))::text AS lag_bytes,
            sender.flush_lsn::text AS flush_lsn
       FROM (SELECT 1) AS one
       LEFT JOIN pg_replication_slots AS slot ON slot.slot_name = $1
       LEFT JOIN pg_stat_replication AS sender ON sender.pid = slot.active_pid`,
    [SLOT],
  );
  const row = rows[0];
  if (!row) throw new Error("the server did not say where its WAL is");
  return {
    systemIdentifier: row.system_identifier,
    timeline: Number.parseInt(row.segment.slice(0, 8), 16),
    segmentBytes: Number(row.segment_bytes),
    at: Number(time.rows[0]?.at),
    lsn: parseLsn(row.lsn),
    snapshot: row.snapshot,
    slot:
      row.active === null
        ? null
        : {
            active: row.active,
            walStatus: row.wal_status,
            flushLsn: row.flush_lsn === null ? null : parseLsn(row.flush_lsn),
            lagBytes: row.lag_bytes === null ? null : Math.max(0, Number(row.lag_bytes)),
            safeBytes: row.safe_bytes === null ? null : Number(row.safe_bytes),
          },
  };
}

/** Whether the server still has a segment, or has not written it yet. */
export async function serverHasSegment(session: pg.Client, segment: string): Promise<boolean> {
  const { rows } = await session.query<{ there: boolean }>(
    `SELECT $1 >= pg_walfile_name(pg_current_wal_lsn()) OR EXISTS (SELECT FROM pg_ls_waldir() WHERE name = $1) AS there`,
    [segment],
  );
  return rows[0]?.there ?? false;
}

/** Does nothing where there is no slot. Throws while a receiver is connected to it. */
export async function dropSlot(session: pg.Client): Promise<void> {
  await session.query(
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1",
    [SLOT],
  );
}
