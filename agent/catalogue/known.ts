import { mkdir, readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { fileExists } from "../base/file-exists.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";

/**
 * What was seen in the backup directory, in a place that outlives that directory: so backups that are gone are missed. There is one
 * file for each, on a volume of the agent's own.
 *
 * Whoever removes something forgets it first, and once more afterwards. A kill in between costs nothing, because what is still there is
 * seen again. What is gone by any other hand stays known, until it is back or somebody accepts that.
 */
const sighting = z.object({
  /** Of which moment it is. */
  at: z.iso.datetime(),
  systemIdentifier: z.string().regex(/^\d+$/),
  tables: z.number().int().nonnegative(),
});

export type Sighting = z.infer<typeof sighting>;

export interface Known extends Sighting {
  /** A path in the backup directory. */
  name: string;
  /** What is gone, where it is not the whole of it. */
  lacks?: string | undefined;
}

const ENDING = ".json";

/** Oldest first. Throws when the records cannot be read: unknown is failure. */
export async function readKnown(settings: AgentSettings): Promise<Known[]> {
  const names = await namesOfKnown(settings);
  const found = await Promise.all(names.map(name => readRecord(sighting, pathOf(settings, name))));
  return names.flatMap((name, at) => {
    const reading = found[at];
    if (reading?.found) return [{ name, ...reading.record }];
    if (reading?.why === "absent") return [];
    throw unreadable(pathOf(settings, name), reading?.detail ?? "");
  });
}

/** `isThere` is asked once it is noted: whoever removes it meanwhile may have forgotten it before. */
export async function remember(
  settings: AgentSettings,
  seen: readonly Known[],
  isThere: (name: string) => Promise<boolean>,
): Promise<void> {
  await mkdir(settings.recordsDir, { recursive: true, mode: 0o700 });
  const noted = new Set(await namesOfKnown(settings));
  for (const { name, at, systemIdentifier, tables } of seen) {
    if (noted.has(name)) continue;
    await writeRecord(pathOf(settings, name), { at, systemIdentifier, tables } satisfies Sighting);
    if (!(await isThere(name))) await forget(settings, name);
  }
}

/** Without those that were forgotten meanwhile, as by the retention that has removed them. */
export async function stillKnown(settings: AgentSettings, gone: readonly Known[]): Promise<Known[]> {
  const noted = await Promise.all(gone.map(({ name }) => fileExists(pathOf(settings, name))));
  return gone.filter((_, at) => noted[at]);
}

export async function forget(settings: AgentSettings, name: string): Promise<void> {
  await rm(pathOf(settings, name), { force: true });
}

function unreadable(path: string, detail: string): Stop {
  const agent = hostname();
  return new Stop(
    EXIT.failed,
    `The agent's record of a backup cannot be read (${path}): ${detail}. So it is not known whether backups are missing.`,
    `Remove it; what is in the backup directory is noted again: docker exec ${agent} rm '${path}', with Podman podman exec ${agent} rm '${path}'`,
  );
}

async function namesOfKnown({ recordsDir }: AgentSettings): Promise<string[]> {
  let files: string[];
  try {
    files = await readdir(recordsDir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return files
    .filter(file => file.endsWith(ENDING) && !file.startsWith("."))
    .map(file => decodeURIComponent(file.slice(0, -ENDING.length)))
    .sort();
}

function pathOf({ recordsDir }: AgentSettings, name: string): string {
  return join(recordsDir, `${encodeURIComponent(name)}${ENDING}`);
}
