import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "./durable-file.ts";
import type { AgentSettings } from "./settings.ts";
import { type Chain, pointInTimeFolder } from "./wal-chain.ts";

const notes = z.object({
  /** Why WAL is not received, base backups are not taken, segments not kept or not sent; null for what goes well. */
  receiving: z.string().nullable().default(null),
  base: z.string().nullable().default(null),
  sending: z.string().nullable().default(null),
});

/** What the serving agent has to say to the next status. */
export type PointInTimeNotes = z.infer<typeof notes>;
export const NOTHING_TO_SAY: PointInTimeNotes = { receiving: null, base: null, sending: null };

export async function readNotes(settings: AgentSettings): Promise<PointInTimeNotes> {
  try {
    return notes.parse(JSON.parse(await readFile(notesPath(settings), "utf8")));
  } catch {
    return NOTHING_TO_SAY;
  }
}

/** Writes what has changed, one change after the other. A note, not a gate: it never throws. */
export function noteKeeper(settings: AgentSettings): (change: Partial<PointInTimeNotes>) => Promise<void> {
  let known: PointInTimeNotes | null = null;
  let before = Promise.resolve();
  const write = async (change: Partial<PointInTimeNotes>) => {
    known ??= await readNotes(settings);
    const next = { ...known, ...change };
    if (JSON.stringify(next) === JSON.stringify(known)) return;
    await replaceFile(notesPath(settings), `${JSON.stringify(next)}\n`);
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

export async function readEnding({ folder }: Chain): Promise<ChainEnding | null> {
  try {
    return ending.parse(JSON.parse(await readFile(join(folder, "ended.json"), "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    return { at: new Date(0).toISOString(), why: "the note of why it ended cannot be read" };
  }
}

export function saveEnding({ folder }: Chain, why: string): Promise<void> {
  const note: ChainEnding = { at: new Date().toISOString(), why };
  return replaceFile(join(folder, "ended.json"), `${JSON.stringify(note)}\n`);
}
