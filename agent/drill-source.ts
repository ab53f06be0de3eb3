import { createWriteStream } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { findBackup } from "./backup-source.ts";
import { keepReserve, requireSpace } from "./durable-file.ts";
import { fetchContent } from "./fetch-content.ts";
import type { ObjectStore } from "./object-store.ts";
import { refuse } from "./refuse.ts";
import { listRemote } from "./remote-catalogue.ts";
import { findRemote, latestRemote } from "./remote-choice.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import type { ThrowawayPlace } from "./throwaway-place.ts";
import type { DrillSource } from "./try-backup.ts";

/** A backup's name, a path inside the agent, or `latest`. Throws a Stop when there is none such, or it has no manifest. */
export async function findHere(settings: AgentSettings, which: string): Promise<DrillSource> {
  const { name, path, manifest } = await findBackup(settings, which);
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
  return { name, path, shown, manifest };
}

/** A backup's name or key, or `latest`, fetched into the place, whose end it shares: what is tried is the store's own copy. */
export async function fetchFrom(
  store: ObjectStore,
  settings: AgentSettings,
  which: string,
  place: ThrowawayPlace,
  report: Reporter,
): Promise<DrillSource> {
  const entries = await listRemote(store, settings.stack);
  const entry = which === "latest" ? latestRemote(entries, store) : findRemote(entries, which, store);
  const { name, key, bytes, manifest } = entry;
  await requireSpace(place.directory, "the backup agent's container", bytes);
  const path = join(place.directory, "fetched");
  const progress = report.progress("fetching", bytes);
  let fetched = 0;
  const watch = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      fetched += chunk.length;
      progress.at(fetched);
      next(null, chunk);
    },
  });
  try {
    await pipeline(
      Readable.from(fetchContent(store, entry), { objectMode: false }),
      watch,
      keepReserve(place.directory, "the backup agent's container"),
      createWriteStream(path, { mode: 0o600 }),
    );
  } finally {
    progress.end();
  }
  return { name, path, shown: `${store.shown}/${key}`, manifest };
}

/** Only what lies in the backup directory can count or not. */
export function isInCatalogue(
  { backupDir }: AgentSettings,
  { name, path }: { name: string; path: string },
): boolean {
  return path === join(backupDir, name);
}
