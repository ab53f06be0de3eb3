import { stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { hashFile } from "../base/hashing.ts";
import type { Reporter } from "../base/reporter.ts";
import {
  allowanceNow,
  bytesADay,
  type FileAtRest,
  filesAtRest,
  type Look,
  type Looks,
  nextToLookAt,
} from "./at-rest.ts";
import { type Looked, readLooked, saveLooked } from "./looks.ts";
import { listChains, readChain } from "./wal-chain.ts";

/** Read in one go, and noted with one flush. A kill in between makes the agent look at so much again. */
const AT_ONCE_BYTES = 64 * 1024 * 1024;
/** What a segment takes that nobody has read yet, at most. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
const LOOK_TWICE_MS = 250;

/**
 * Reads what is due of the files at rest and compares it with what was recorded of them: some at a time, within what may be read in a
 * day. Notes of each file when it was looked at and how it was. Says what it has newly found. Only for whoever keeps the chains.
 */
export async function lookAtRest(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
  aDay = bytesADay,
): Promise<void> {
  const files = await listFiles(settings);
  if (files.length === 0) return;
  const known = await readLooked(settings);
  const looks: Record<string, Look> = await stillThere(known.files, files);
  const sizes = files.map(({ name, bytes }) => bytes ?? looks[name]?.bytes ?? SEGMENT_BYTES);
  const allowance = allowanceNow(
    known.allowance,
    aDay(sizes.reduce((sum, bytes) => sum + bytes, 0)),
    new Date(),
  );
  const changed = Object.keys(looks).length !== Object.keys(known.files).length;
  let read = 0;
  let looked = 0;
  while (read < AT_ONCE_BYTES && allowance.left > 0 && !signal.aborted) {
    const file = nextToLookAt(files, looks, new Date());
    if (file === null) break;
    const look = await lookAt(settings, file, looks[file.name] ?? null);
    if (look === null) break;
    looks[file.name] = look;
    read += look.bytes;
    allowance.left -= look.bytes;
    looked++;
    if (look.why !== null && look.why !== known.files[file.name]?.why)
      report.warn(`Point in time: ${file.name} ${look.why}`);
  }
  const found: Looked = { allowance, files: looks };
  if (looked > 0 || changed) await saveLooked(settings, found);
}

async function listFiles(settings: AgentSettings): Promise<FileAtRest[]> {
  const chains = await listChains(settings);
  const files = await Promise.all(chains.map(async chain => filesAtRest(chain, await readChain(chain))));
  return files.flat();
}

/** Forgets what retention has removed, and damaged files that somebody has put back since. */
async function stillThere(looks: Looks, files: readonly FileAtRest[]): Promise<Record<string, Look>> {
  const kept: Record<string, Look> = {};
  for (const { name, path } of files) {
    const look = looks[name];
    if (look === undefined) continue;
    if (look.why === null || look.mark === (await markOf(path))) kept[name] = look;
  }
  return kept;
}

/** Null for a file that went by itself meanwhile. */
async function lookAt(settings: AgentSettings, file: FileAtRest, before: Look | null): Promise<Look | null> {
  const mark = await markOf(file.path);
  const { bytes, why } = await compare(file);
  if (why !== null && !(await isStillListed(settings, file))) return null;
  const at = new Date().toISOString();
  if (why === null) return { at, bytes, why, since: null, mark: null };
  return { at, bytes, why, since: before?.since ?? at, mark };
}

async function compare({ path, bytes, sha256 }: FileAtRest): Promise<{ bytes: number; why: string | null }> {
  const missing = { bytes: 0, why: "is missing" };
  if (sha256 === null) return missing;
  try {
    const found = await hashFile(path);
    if (bytes !== null && found.bytes !== bytes)
      return {
        bytes: found.bytes,
        why: `is cut off, or too long: it has ${found.bytes} bytes instead of ${bytes}`,
      };
    const same = found.sha256.startsWith(sha256);
    return {
      bytes: found.bytes,
      why: same ? null : "is damaged: its bytes are not those that were recorded",
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? missing : { bytes: 0, why: `cannot be read: ${message}` };
  }
}

/** Looks twice: retention may remove it, and a segment that is compressed at this moment may be in no listing. */
async function isStillListed(settings: AgentSettings, { name }: FileAtRest): Promise<boolean> {
  await delay(LOOK_TWICE_MS);
  return (await listFiles(settings)).some(file => file.name === name);
}

async function markOf(path: string): Promise<string | null> {
  const found = await stat(path).catch(() => null);
  return found && `${found.size} bytes of ${found.mtime.toISOString()}`;
}
