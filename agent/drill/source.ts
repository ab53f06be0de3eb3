import { createWriteStream } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Stop } from "../../shared/exit-codes.ts";
import { keepReserve, requireSpace } from "../base/durable-file.ts";
import { countInto, watchedStream } from "../base/passing-bytes.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import { type BackupSource, findBackup } from "../catalogue/backup-source.ts";
import { newestTaken } from "../catalogue/catalogue.ts";
import type { CopiesPlace } from "../copies/place.ts";
import { listRemote, type WholeEntry } from "../copies/remote-catalogue.ts";
import { findRemote, latestRemote } from "../copies/remote-choice.ts";
import { NOT_AUTHENTIC } from "../manifest/flaw.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { THROWAWAY_SHOWN, type ThrowawayPlace } from "../throwaway/place.ts";

/** A dump that can be tried: one with a record to compare it with. */
export interface DrillSource extends BackupSource {
  /** The path as the operator knows it. */
  shown: string;
  manifest: Manifest;
}

/**
 * Finds a backup by its name, a path inside the agent, or `latest`. `latest` may be one that a drill found unloadable, so that the
 * drill says again what repairs it. Throws a Stop when there is none, or when nothing is known to compare it with: it has no
 * manifest, or one that this stack's agent did not write.
 */
export async function findHere(settings: AgentSettings, which: string): Promise<DrillSource> {
  const latest = which === "latest" ? await newestTaken(settings) : null;
  const { name, path, manifest, authentic } = await findBackup(settings, latest?.name ?? which);
  const shown = isInCatalogue(settings, { name, path }) ? `${settings.backupDirShown}/${name}` : path;
  await access(path).catch(() => {
    throw refuse(`${shown} does not exist`);
  });
  if (!manifest) {
    throw refuse(
      `${name} has no manifest, so there is nothing to compare it with`,
      "Drill a backup that has one: `npx budgie list` shows them.",
    );
  }
  if (!authentic) throw notAuthentic(name);
  return { name, path, shown, manifest, authentic };
}

/** Finds a backup among the copies in a place by its name or key, or `latest`. Throws a Stop as `findHere` does. */
export async function findThere(
  copies: CopiesPlace,
  settings: AgentSettings,
  which: string,
): Promise<WholeEntry> {
  const entries = await listRemote(copies, settings);
  const entry = which === "latest" ? latestRemote(entries, copies) : findRemote(entries, which, copies);
  if (!entry.authentic) throw notAuthentic(`${copies.shown}/${entry.key}`);
  return entry;
}

function notAuthentic(name: string): Stop {
  return refuse(
    `${name} is not drilled, because there is nothing to compare it with: ${NOT_AUTHENTIC}`,
    "Drill a backup that counts: `npx budgie list` shows them. If this one is yours, `npx budgie restore` loads it all the same.",
  );
}

/** Fetches a copy into the place, and it goes with the place. */
export async function fetchInto(
  place: ThrowawayPlace,
  copies: CopiesPlace,
  entry: WholeEntry,
  report: Reporter,
): Promise<DrillSource> {
  const { name, key, bytes, manifest, authentic } = entry;
  await requireSpace(place.directory, THROWAWAY_SHOWN, bytes);
  const path = join(place.directory, "fetched");
  const progress = report.progress("fetching", bytes);
  try {
    await pipeline(
      Readable.from(copies.content(entry), { objectMode: false }),
      watchedStream(countInto(progress)),
      keepReserve(place.directory, THROWAWAY_SHOWN),
      createWriteStream(path, { mode: 0o600 }),
    );
  } finally {
    progress.end();
  }
  return { name, path, shown: `${copies.shown}/${key}`, manifest, authentic };
}

/** Only what lies in the backup directory can count or not. */
export function isInCatalogue(
  { backupDir }: AgentSettings,
  { name, path }: { name: string; path: string },
): boolean {
  return path === join(backupDir, name);
}
