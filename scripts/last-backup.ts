import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";

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
export async function lastBackup(folder: string): Promise<LastBackup | null> {
  const names = (await readdir(folder)).filter(name => MANIFEST.test(name)).sort();
  const newest = names.at(-1);
  if (newest === undefined) return null;
  const last = manifest.parse(JSON.parse(await readFile(join(folder, newest), "utf8")));
  const others = await Promise.all(names.reverse().map(name => drilled(folder, name)));
  const proof = others.find(other => other !== null && holdsSame(other, last));
  return { manifest: last, provenBy: proof?.file ?? null, flaw: await flawOf(folder, last) };
}

/** The backup, where a drill of this very content has ended well. */
async function drilled(folder: string, name: string): Promise<LastManifest | null> {
  try {
    const record = drill.parse(
      JSON.parse(await readFile(join(folder, name.replace(/\.json$/, ".drill.json")), "utf8")),
    );
    const backup = manifest.parse(JSON.parse(await readFile(join(folder, name), "utf8")));
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

async function flawOf(folder: string, { file, bytes, sha256 }: LastManifest): Promise<string | null> {
  const hash = createHash("sha256");
  let read = 0;
  try {
    await pipeline(createReadStream(join(folder, file)), async source => {
      for await (const piece of source as AsyncIterable<Buffer>) {
        hash.update(piece);
        read += piece.length;
      }
    });
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
  if (read !== bytes || hash.digest("hex") !== sha256)
    return "is damaged: its bytes are not those that were recorded";
  return null;
}
