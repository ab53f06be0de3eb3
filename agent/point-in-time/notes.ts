import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { type Chain, pointInTimeFolder } from "./wal-chain.ts";

const notes = z.object({
  /** Why WAL is not received, base backups are not taken, segments not kept or not sent, files not looked at; null for what goes well. */
  receiving: z.string().nullable().default(null),
  base: z.string().nullable().default(null),
  sending: z.string().nullable().default(null),
  checking: z.string().nullable().default(null),
});

/** What the serving agent has to say to the next status. */
export type PointInTimeNotes = z.infer<typeof notes>;
export const NOTHING_TO_SAY: PointInTimeNotes = {
  receiving: null,
  base: null,
  sending: null,
  checking: null,
};

export async function readNotes(settings: AgentSettings): Promise<PointInTimeNotes> {
  const reading = await readRecord(notes, notesPath(settings));
  return reading.found ? reading.record : NOTHING_TO_SAY;
}

/** Writes what has changed, one change after the other. Never throws, because notes must not stop any work. */
export function noteKeeper(settings: AgentSettings): (change: Partial<PointInTimeNotes>) => Promise<void> {
  let known: PointInTimeNotes | null = null;
  let before = Promise.resolve();
  const write = async (change: Partial<PointInTimeNotes>) => {
    known ??= await readNotes(settings);
    const next = { ...known, ...change };
    if (JSON.stringify(next) === JSON.stringify(known)) return;
    await writeRecord(notesPath(settings), next);
    known = next;
  };
  return change => {
    before = before.then(() => write(change)).catch(() => undefined);
    return before;
  };
}

function notesPath(settings: AgentSettings): string {
  return join(pointInTimeFolder(settings), "notes.json");
}

const ending = z.object({ at: z.iso.datetime(), why: z.string() });

/** When and why a chain broke off. */
export type ChainEnding = z.infer<typeof ending>;

export async function readEnding(chain: Chain): Promise<ChainEnding | null> {
  const reading = await readRecord(ending, endingPath(chain));
  if (reading.found) return reading.record;
  if (reading.why === "absent") return null;
  return { at: new Date(0).toISOString(), why: "the note of why it ended cannot be read" };
}

export function saveEnding(chain: Chain, why: string): Promise<void> {
  const note: ChainEnding = { at: new Date().toISOString(), why };
  return writeRecord(endingPath(chain), note);
}

function endingPath({ folder }: Chain): string {
  return join(folder, "ended.json");
}
