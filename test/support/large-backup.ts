import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../../agent/manifest.ts";

/**
 * Puts a backup of about `size` bytes into `directory`: `dump`, a backup of one table, with its rows over and over again. Made
 * by hand, because a database of that size takes minutes; what counts rows will see through it. Returns its name.
 */
export async function makeLargeBackup(dump: string, directory: string, size: number): Promise<string> {
  const [text, manifest] = await Promise.all([
    readFile(dump),
    readFile(dump.replace(".sql", ".json"), "utf8").then(json => JSON.parse(json) as Manifest),
  ]);
  const rowsFrom = text.indexOf("\n", text.indexOf("FROM stdin;")) + 1;
  const rowsTo = text.indexOf("\\.\n", rowsFrom);
  const rows = text.subarray(rowsFrom, rowsTo);
  const hash = createHash("sha256");
  let bytes = 0;
  const name = "budgie_20260101_000000.sql";
  const out = createWriteStream(join(directory, name));
  const write = async (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
    if (!out.write(chunk)) await once(out, "drain");
  };
  await write(text.subarray(0, rowsFrom));
  while (bytes < size) await write(rows);
  await write(text.subarray(rowsTo));
  out.end();
  await once(out, "close");
  const sha256 = hash.digest("hex");
  const large = {
    ...manifest,
    file: name,
    bytes,
    sha256,
    contentBytes: bytes,
    contentSha256: sha256,
    globals: null,
  };
  await writeFile(join(directory, name.replace(".sql", ".json")), JSON.stringify(large));
  return name;
}
