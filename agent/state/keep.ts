import { chown, mkdir, readdir, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { unlessWithoutOwners } from "../../shared/file-systems.ts";
import { holdsPlaintext, isStateName, type KeptState, keptState } from "../../shared/kept-state.ts";
import { explainWrite, replaceFile } from "../base/durable-file.ts";
import { sha256Of } from "../base/hashing.ts";
import { parseRecord } from "../base/json-record.ts";

/** Each that differs from the one before. An `up` that changed nothing pushes none of them out. */
const KEPT = 5;

/** `backups/state/dev`: no name in there is a backup's. */
export function stateFolder({ backupDir, stack }: Pick<AgentSettings, "backupDir" | "stack">): string {
  return join(backupDir, "state", stack);
}

/** `state_20261122T140300Z-4f2a9c01d3e7.json`: when it was written, and the beginning of its SHA-256. */
export function stateName(at: Date, content: string | Buffer): string {
  const time = at.toISOString().replace(/[-:]|\.\d+/g, "");
  return `state_${time}-${sha256Of(Buffer.from(content)).slice(0, 12)}.json`;
}

/** The states that are kept, oldest first. */
export async function keptStates(settings: AgentSettings): Promise<string[]> {
  const names = await readdir(stateFolder(settings)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter(isStateName).sort();
}

/**
 * Keeps the state of the stack beside its backups, and removes all but the last few. The newest is on disk, whole, before an older one goes.
 * Returns its name; null where the newest says the same already. Throws a Stop for anything else than a state, and for one with a secret in
 * it that everybody can read.
 */
export async function keepState(settings: AgentSettings, text: string, now: Date): Promise<string | null> {
  const reading = parseRecord(keptState, text);
  if (!reading.found)
    throw new Stop(EXIT.usage, `This is no state of a stack: ${reading.detail}.`, "Run it again: npm run up");
  if (holdsPlaintext(reading.json))
    throw new Stop(
      EXIT.failed,
      "This state holds a secret that is not encrypted, and is not kept.",
      "Export it without --show-secrets.",
    );
  const folder = stateFolder(settings);
  const newest = (await keptStates(settings)).at(-1);
  if (newest !== undefined && (await saysTheSame(join(folder, newest), reading.record))) return null;
  const name = stateName(now, text);
  try {
    await makeFolders(settings);
    await replaceFile(join(folder, name), text);
  } catch (error) {
    throw explainWrite(error, name, settings.backupDirShown);
  }
  for (const old of (await keptStates(settings)).slice(0, -KEPT)) await unlink(join(folder, old));
  return name;
}

/** Whether but for the time both are of. */
async function saysTheSame(path: string, other: KeptState): Promise<boolean> {
  const kept = parseRecord(keptState, await readFile(path, "utf8").catch(() => ""));
  const timeless = ({ at: _, state: { version, deployment }, ...rest }: KeptState) => {
    const { manifest: __, ...content } = deployment;
    return { ...rest, version, content };
  };
  return kept.found && isDeepStrictEqual(timeless(kept.record), timeless(other));
}

/** They belong to whoever the backup directory belongs to. */
async function makeFolders(settings: AgentSettings): Promise<void> {
  const { uid, gid } = await stat(settings.backupDir);
  for (const folder of [join(settings.backupDir, "state"), stateFolder(settings)]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chown(folder, uid, gid).catch(unlessWithoutOwners);
  }
}
