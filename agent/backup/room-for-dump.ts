import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { BackupFormat } from "../../shared/backup-format.ts";
import { Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { liveMemory } from "../memory/limits.ts";
import { costlyRows } from "../memory/longest-row.ts";
import { costliest, planDump, type RowNeed } from "../memory/need.ts";
import { connect } from "../server/connection.ts";
import { rightsOf } from "../server/managed.ts";
import { wantedConnections } from "./write-directory.ts";

export interface RoomForDump {
  /** How many connections may dump at once. */
  connections: number;
  /** null: no row takes much. Undefined: it could not be found out. */
  costliestRow: RowNeed | null | undefined;
}

/**
 * Looks for rows that need more memory to dump than there is, and throws a Stop: else the kernel would kill PostgreSQL. A table
 * that cannot be looked at is dumped all the same: a backup matters more, and pg_dump says best what is wrong.
 */
export async function roomForDump(
  settings: AgentSettings,
  format: BackupFormat,
  signal: AbortSignal,
  report: Reporter,
): Promise<RoomForDump> {
  const session = await connect(settings, settings.database, "budgie row lengths");
  const giveUp = () => void session.end().catch(() => undefined);
  signal.addEventListener("abort", giveUp);
  try {
    const limits = await liveMemory(settings, session);
    const rows = await costlyRows(session, rightsOf(settings) === "superuser");
    const connections = planDump(limits, rows, format === "dir.tar" ? wantedConnections() : 1);
    return { connections, costliestRow: costliest(rows) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Stop) throw error;
    report.warn(
      `The length of the longest row could not be looked up (${(error as Error).message}), so whether there is enough memory to dump it is not known`,
    );
    return { connections: 1, costliestRow: undefined };
  } finally {
    signal.removeEventListener("abort", giveUp);
    await session.end().catch(() => undefined);
  }
}
