import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import type { Allowance, Look, Looks } from "./at-rest.ts";
import { pointInTimeFolder } from "./wal-chain.ts";

const looked = z.object({
  allowance: z.object({ at: z.iso.datetime(), left: z.number() }),
  files: z.record(
    z.string(),
    z.object({
      at: z.iso.datetime(),
      bytes: z.number().nonnegative(),
      why: z.string().nullable(),
      since: z.iso.datetime().nullable(),
      mark: z.string().nullable(),
    }),
  ),
});

/** What is known of the files at rest. It lies in the backup directory, so that a restart goes on where it stopped. */
export interface Looked {
  allowance: Allowance | null;
  files: Record<string, Look>;
}

/** Where the record cannot be read, nobody has looked at anything yet, and all is looked at again. */
export async function readLooked(settings: AgentSettings): Promise<Looked> {
  const reading = await readRecord(looked, lookedPath(settings));
  return reading.found ? reading.record : { allowance: null, files: {} };
}

export async function readLooks(settings: AgentSettings): Promise<Looks> {
  return (await readLooked(settings)).files;
}

export function saveLooked(settings: AgentSettings, found: Looked): Promise<void> {
  return writeRecord(lookedPath(settings), found);
}

function lookedPath(settings: AgentSettings): string {
  return join(pointInTimeFolder(settings), "looked.json");
}
