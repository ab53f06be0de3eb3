import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";

const finished = z.object({
  target: z.string(),
  /** PostgreSQL's number of the database over there: a rename keeps it, and nothing else has it. */
  oid: z.string(),
  backup: z.string(),
  tables: z.number(),
  rows: z.number(),
  /** What had been written into the source by then. */
  written: z.object({ rows: z.string(), objects: z.string() }),
  at: z.iso.datetime(),
});

/** That a database was moved. Written before it gets its name over there, so a kill in between is seen for what it is. */
export type Finished = z.infer<typeof finished>;

export async function readFinished(settings: AgentSettings): Promise<Finished | null> {
  const reading = await readRecord(finished, pathOf(settings));
  return reading.found ? reading.record : null;
}

export function noteFinished(settings: AgentSettings, record: Finished): Promise<void> {
  return writeRecord(pathOf(settings), record);
}

function pathOf({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `.migrated-${stack}.json`);
}
