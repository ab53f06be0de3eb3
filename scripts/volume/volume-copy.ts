import { PassThrough } from "node:stream";
import { DATA_FOLDER } from "../../shared/database-image.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { readVolume } from "./volume-export.ts";
import { requireIdleVolume } from "./volume-idle.ts";
import { fillVolume } from "./volume-import.ts";
import { askVolumes } from "./volume-work.ts";

/** What a database's start writes at once, and what its first minutes do. */
const SPARE_KILOBYTES = 256 * 1024;

/**
 * Copies a volume into that of a stack's database, which must be empty or not there, as an export and an import do it: what is read is
 * only read, and counts when no server wrote there meanwhile; what is written gets its place when it is whole. A kill leaves no database
 * in the copy, and the next one begins anew.
 * @param wayBack what to type when the volume cannot be copied
 */
export async function copyVolume(stack: Stack, volume: string, wayBack: string): Promise<void> {
  await requireIdleVolume(stack, volume);
  const tar = new PassThrough();
  // Its error is this function's to tell.
  tar.on("error", () => undefined);
  let unread: Stop | undefined;
  const reading = readVolume(stack, volume, tar).then(
    () => tar.end(),
    error => {
      if (error instanceof Stop) unread = error;
      tar.destroy(error);
    },
  );
  try {
    await fillVolume(stack, `the volume ${volume}`, tar);
  } catch (error) {
    const first = unread ?? error;
    throw first instanceof Stop ? new Stop(first.code, first.message, wayBack) : first;
  } finally {
    tar.destroy();
    await reading;
  }
}

/**
 * Throws a Stop where the engine's disk has no room for a copy of a volume, before anything is stopped for it. The engine keeps its
 * volumes in one place.
 */
export async function requireRoomForCopy(stack: Stack, volume: string, kilobytes: number): Promise<void> {
  const said = await askVolumes(stack, {
    volumes: [{ volume, path: DATA_FOLDER }],
    script: `df -Pk '${DATA_FOLDER}' | tail -n 1`,
  });
  const free = Number(said.trim().split(/\s+/)[3]);
  const needed = kilobytes + SPARE_KILOBYTES;
  if (free >= needed) return;
  throw new Stop(
    EXIT.noSpace,
    `The volume ${volume} must be copied into ${databaseVolumeName(stack.prefix)}, which takes ${needed * 1024} bytes; the container engine's disk has ${Number.isNaN(free) ? "an unknown number" : free * 1024} free. Nothing was changed.`,
    "Free space there (docker system df shows what takes it), then run the same command again. A dump of the old server and npx budgie restore need less.",
  );
}
