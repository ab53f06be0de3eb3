import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { checkIdentity } from "../catalogue/identity.ts";
import { totalRows } from "../manifest/manifest.ts";
import { operate } from "../operation/operate.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { backupToMove } from "./migrate.ts";
import { requireAsItWas, requireNobodyWrites, requireNonePrepared, writtenIn } from "./source-at-rest.ts";

/** A backup that another stack is given, and what had been written here before it was begun. */
export interface BackupForElsewhere {
  file: string;
  sha256: string;
  tables: number;
  rows: number;
  written: string;
}

/** Takes it; with `held`, only where nobody but the agent is connected. Throws a Stop. */
export function backupForElsewhere(
  settings: AgentSettings,
  held: boolean,
  report: Reporter,
): Promise<BackupForElsewhere> {
  const name = held ? "migrate" : "migrate (rehearsal)";
  return operate(settings, { kind: "beside", name }, report, async lock => {
    await checkIdentity(settings);
    if (held) await requireNobodyWrites(lock.session, settings);
    else await requireNonePrepared(lock.session, settings.database);
    const { rows, objects } = await writtenIn(settings);
    const { file, sha256, tables } = await backupToMove(settings, lock, report);
    return { file, sha256, tables: tables.length, rows: totalRows(tables), written: `${rows}/${objects}` };
  });
}

/** Throws a Stop where somebody has written here since such a backup was begun, or could still. */
export async function checkUnchanged(settings: AgentSettings, written: string): Promise<void> {
  const [rows = "", objects = ""] = written.split("/");
  const session = await connectToMaintenance(settings, "budgie migrate");
  try {
    await requireAsItWas(session, settings, { rows, objects });
  } finally {
    await session.end();
  }
}
