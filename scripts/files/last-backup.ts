import { z } from "zod";
import type { BackupFiles } from "./backup-files.ts";

/** Of a manifest, what a purge asks: agent/manifest/manifest.ts has all of it. */
const manifest = z.object({
  file: z.string(),
  stack: z.string(),
  database: z.string(),
  systemIdentifier: z.string(),
  reason: z.string(),
  finishedAt: z.iso.datetime(),
  bytes: z.number(),
  sha256: z.string(),
  contentSha256: z.string(),
  schemaSha256: z.string(),
  databaseBytes: z.number(),
  tables: z.array(z.object({ name: z.string(), rows: z.number(), sha256: z.string() })),
});
export type LastManifest = z.infer<typeof manifest>;

/** Of the record of a drill: agent/catalogue/drill-record.ts. */
const drill = z.object({ outcome: z.string(), contentSha256: z.string() });

export interface LastBackup {
  manifest: LastManifest;
  /** The backup that was proven by a restore: this one, or one that holds the same, row for row. Null: neither was. */
  provenBy: string | null;
  /** Why its file is not what the manifest recorded, as the end of a sentence; null when every byte is. */
  flaw: string | null;
}

const MANIFEST = /^budgie_\d{8}_\d{6}\.json$/;

/**
 * The newest backup in a backup directory; null when there is none. Its file is read to the end. The backup that a `destroy` takes
 * cannot be drilled any more, because its agent is gone; it counts as proven where one that was drilled holds the same tables with
 * the same rows. Throws for a directory or a newest manifest that cannot be read: an older backup is not what was asked for.
 */
export async function lastBackup(files: BackupFiles): Promise<LastBackup | null> {
  const records = await files.records();
  const names = [...records.keys()].filter(name => MANIFEST.test(name)).sort();
  const newest = names.at(-1);
  if (newest === undefined) return null;
  const last = manifest.parse(JSON.parse(records.get(newest) ?? ""));
  const others = names.reverse().map(name => drilled(records, name));
  const proof = others.find(other => other !== null && holdsSame(other, last));
  return { manifest: last, provenBy: proof?.file ?? null, flaw: await flawOf(files, last) };
}

/** The backup, where a drill of this very content has ended well. */
function drilled(records: ReadonlyMap<string, string>, name: string): LastManifest | null {
  try {
    const record = drill.parse(JSON.parse(records.get(name.replace(/\.json$/, ".drill.json")) ?? ""));
    const backup = manifest.parse(JSON.parse(records.get(name) ?? ""));
    return record.outcome === "good" && record.contentSha256 === backup.contentSha256 ? backup : null;
  } catch {
    return null; // No drill, or none that can be read: nothing is proven by it.
  }
}

export function holdsSame(one: LastManifest, other: LastManifest): boolean {
  const content = ({ systemIdentifier, schemaSha256, tables }: LastManifest) =>
    JSON.stringify([
      systemIdentifier,
      schemaSha256,
      tables.map(({ name, rows, sha256 }) => [name, rows, sha256]),
    ]);
  return content(one) === content(other);
}

async function flawOf(files: BackupFiles, { file, bytes, sha256 }: LastManifest): Promise<string | null> {
  try {
    const read = await files.digest(file);
    const isSame = read.bytes === bytes && read.sha256 === sha256;
    return isSame ? null : "is damaged: its bytes are not those that were recorded";
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
}
