import { Readable } from "node:stream";
import type { BackupFormat } from "./backup-format.ts";
import { formatOf } from "./backup-name.ts";
import { inspectStream, requireWhole } from "./dump-file.ts";
import type { DumpKind } from "./dump-kind.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { fetchContent } from "./fetch-content.ts";
import { fetchGlobals } from "./fetch-globals.ts";
import { totalRows } from "./manifest.ts";
import type { ObjectStore } from "./object-store.ts";
import { refuse } from "./refuse.ts";
import { isWhole, listRemote, type RemoteEntry, type WholeEntry } from "./remote-catalogue.ts";
import { findRemote, latestRemote, requireOpened } from "./remote-choice.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import type { Verified } from "./verify.ts";

/** What the bytes must be, by the name that the backup was taken under. */
const KINDS: Record<BackupFormat, DumpKind> = {
  sql: "plain",
  "sql.gz": "gzip",
  "sql.zst": "zstd",
  dump: "custom",
  "dir.tar": "tar",
};

/** How many besides the newest are read when nothing was named. Another choice each time, so that all have their turn. */
const OTHERS_IN_SAMPLE = 2;

/**
 * Reads backups in the store, every byte of them, and compares with their manifests; keeps nothing. `which` is a backup's name
 * or key, `latest`, `all`, or `sample`. What is not of one piece there is told and is not good, unless another one was named.
 * Throws a Stop when the store does not give them.
 */
export async function verifyRemote(
  settings: AgentSettings,
  store: ObjectStore,
  which: string,
  report: Reporter,
): Promise<Verified[]> {
  const entries = await listRemote(store, settings.stack);
  if (which === "all" || which === "sample") requireOpened(entries, store);
  const results: Verified[] = [];
  for (const entry of choose(entries, which, store)) {
    if (isWhole(entry)) results.push(await verifyOne(store, entry, report));
    else results.push(notGood(entry.name, `${entry.name} does not count: ${entry.flaw}`, report));
  }
  return results;
}

function choose(entries: readonly RemoteEntry[], which: string, store: ObjectStore): readonly RemoteEntry[] {
  if (which === "all") return entries;
  if (which === "latest") return [latestRemote(entries, store)];
  if (which !== "sample") return [findRemote(entries, which, store)];
  const [newest, ...others] = entries.filter(isWhole);
  const broken = entries.filter(entry => !isWhole(entry));
  return [...(newest ? [newest] : []), ...someOf(others, OTHERS_IN_SAMPLE), ...broken];
}

async function verifyOne(store: ObjectStore, entry: WholeEntry, report: Reporter): Promise<Verified> {
  const { name, key, manifest } = entry;
  const shown = `${store.shown}/${key}`;
  const progress = report.progress("reading", manifest.bytes);
  const source = Readable.from(fetchContent(store, entry), { objectMode: false });
  try {
    const stream = { source, kind: KINDS[formatOf(manifest.file) ?? "sql"], shown };
    const dump = await inspectStream(stream, progress).finally(() => progress.end());
    requireWhole(dump, shown, manifest);
    if (dump.sha256 !== manifest.sha256)
      throw refuse(`${shown} is corrupt: its bytes are not those that its manifest recorded`);
    await fetchGlobals(store, entry);
    const { tables } = dump.fingerprint;
    report.done(
      `${name}: ${tables.length} tables, ${totalRows(tables)} rows, ${humanSize(dump.bytes)}, all as recorded`,
    );
    return { name, good: true, why: null };
  } catch (error) {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    return notGood(name, error.message, report);
  }
}

function notGood(name: string, why: string, report: Reporter): Verified {
  report.warn(why);
  return { name, good: false, why };
}

function someOf<T>(items: readonly T[], count: number): T[] {
  const left = [...items];
  const chosen: T[] = [];
  while (chosen.length < count && left.length > 0) {
    chosen.push(...left.splice(Math.floor(Math.random() * left.length), 1));
  }
  return chosen;
}
