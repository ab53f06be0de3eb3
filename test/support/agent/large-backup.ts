import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../../../agent/manifest/manifest.ts";
import { writeSigned } from "./manifest-key.ts";

/**
 * Writes a backup of about `size` bytes into `directory` by repeating the rows of `dump`, a backup of one table. A database of
 * that size would take minutes. Its counted rows do not match. Returns its name.
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
  await writeSigned(join(directory, name.replace(".sql", ".json")), large);
  return name;
}
