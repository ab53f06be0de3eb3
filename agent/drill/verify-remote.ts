import { Readable } from "node:stream";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { BackupFormat } from "../../shared/backup-format.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import { fetchGlobals } from "../copies/fetch-globals.ts";
import type { CopiesPlace } from "../copies/place.ts";
import { isWhole, listRemote, type RemoteEntry, type WholeEntry } from "../copies/remote-catalogue.ts";
import { findRemote, latestRemote, requireOpened } from "../copies/remote-choice.ts";
import { inspectBytes, requireWhole } from "../dump/inspect.ts";
import type { DumpKind } from "../dump/kind.ts";
import { formatOf } from "../manifest/backup-name.ts";
import { tellNotGood, tellWhole, type Verified } from "./verified.ts";

/** What the bytes must be, by the name under which the backup was taken. */
const KINDS: Record<BackupFormat, DumpKind> = {
  sql: "plain",
  "sql.gz": "gzip",
  "sql.zst": "zstd",
  dump: "custom",
  "dir.tar": "tar",
};

/** How many besides the newest are read when none was named. The choice is another one each time, so that all have their turn. */
const OTHERS_IN_SAMPLE = 2;

/**
 * Reads every byte of backups that are copies in a place, and compares them with their manifests; keeps nothing. `which` is a backup's name or
 * key, `latest`, `all`, or `sample`. With `all` and `sample`, a backup whose parts do not fit together is told, and is not good.
 * Throws a Stop when the place does not hand them out.
 */
export async function verifyRemote(
  settings: AgentSettings,
  place: CopiesPlace,
  which: string,
  report: Reporter,
): Promise<Verified[]> {
  const entries = await listRemote(place, settings);
  if (which === "all" || which === "sample") requireOpened(entries, place);
  const results: Verified[] = [];
  for (const entry of choose(entries, which, place)) {
    if (isWhole(entry)) results.push(await verifyOne(place, entry, report));
    else results.push(tellNotGood(entry.name, `${entry.name} does not count: ${entry.flaw}`, report));
  }
  return results;
}

function choose(entries: readonly RemoteEntry[], which: string, place: CopiesPlace): readonly RemoteEntry[] {
  if (which === "all") return entries;
  if (which === "latest") return [latestRemote(entries, place)];
  if (which !== "sample") return [findRemote(entries, which, place)];
  const [newest, ...others] = entries.filter(isWhole);
  const broken = entries.filter(entry => !isWhole(entry));
  return [...(newest ? [newest] : []), ...someOf(others, OTHERS_IN_SAMPLE), ...broken];
}

async function verifyOne(place: CopiesPlace, entry: WholeEntry, report: Reporter): Promise<Verified> {
  const { name, key, manifest } = entry;
  const shown = `${place.shown}/${key}`;
  const progress = report.progress("reading", manifest.bytes);
  const source = Readable.from(place.content(entry), { objectMode: false });
  try {
    const stream = { source, kind: KINDS[formatOf(manifest.file) ?? "sql"], shown };
    const dump = await inspectBytes(stream, progress).finally(() => progress.end());
    requireWhole(dump, shown, manifest);
    if (dump.sha256 !== manifest.sha256)
      throw refuse(`${shown} is corrupt: its bytes are not those that its manifest recorded`);
    await fetchGlobals(place, entry);
    return tellWhole(entry, dump, report);
  } catch (error) {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    return tellNotGood(name, error.message, report);
  }
}

function someOf<T>(items: readonly T[], count: number): T[] {
  const left = [...items];
  const chosen: T[] = [];
  while (chosen.length < count && left.length > 0) {
    chosen.push(...left.splice(Math.floor(Math.random() * left.length), 1));
  }
  return chosen;
}
