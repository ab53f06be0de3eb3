import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { requireSameGlobals } from "../backup/globals.ts";
import { sha256Of, sha256OfAll } from "../base/hashing.ts";
import { countInto, watched } from "../base/passing-bytes.ts";
import type { Reporter } from "../base/reporter.ts";
import { manifestName } from "../manifest/backup-name.ts";
import type { ManifestKey } from "../manifest/mac.ts";
import { type Manifest, parseManifest } from "../manifest/manifest.ts";
import { textForCopy } from "../manifest/text-for-copy.ts";
import type { SshConnection } from "./connection.ts";
import { refused, remotePath, sizeOf } from "./folder.ts";
import { type NewFile, putNew } from "./new-file.ts";
import { holds } from "./remote-hash.ts";
import { receive } from "./transfer.ts";

/** One backup on its way to the server. */
export interface Copying {
  connection: SshConnection;
  /** Of its dump, here. */
  path: string;
  manifest: Manifest;
  key: ManifestKey;
  report: Reporter;
}

/**
 * Copies a backup, the roles that belong to it, and last its manifest: a copy counts once the manifest is there. What is there
 * already and is the same stays as it is, so the next run finishes one that was cut. A partial file is started over. To go on with
 * it, all of it would have to be read back first and compared, and over most lines that takes as long as sending it.
 *
 * Throws a Stop: storeUnreachable; storeRefused, also when another file has the name; unusableBackup when the file here is
 * not what its manifest says.
 */
export async function copyBackup(copying: Copying): Promise<void> {
  const { connection, manifest } = copying;
  const name = manifest.file;
  const { sha256 } = manifest;
  if ((await sizeOf(connection, name)) === null) {
    await requireRecorded(copying);
    const content = read(copying, "sending");
    await putNew(connection, { ...manifest, name, sha256: () => sha256, content });
  } else if (!(await holds(connection, name, manifest))) {
    throw anotherFile(connection, name);
  }
  await putGlobals(copying);
  await putManifest(copying);
}

/** Where somebody removed them here, the backup is copied without them. */
async function putGlobals({ connection, path, manifest }: Copying): Promise<void> {
  const content = await readGlobals(path, manifest);
  const { globals, stack } = manifest;
  if (!content || !globals) return;
  const { file: name, bytes, sha256 } = globals;
  if ((await sizeOf(connection, name)) === null)
    await putNew(connection, { name, stack, bytes, sha256: () => sha256, content: Readable.from([content]) });
  else if (!(await holds(connection, name, globals))) throw anotherFile(connection, name);
}

/** The roles beside a backup; null where there are none. Throws a Stop for others than were recorded. */
export async function readGlobals(backupFile: string, { globals }: Manifest): Promise<Buffer | null> {
  if (!globals) return null;
  const content = await readFile(join(dirname(backupFile), globals.file)).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw unusable(`${globals.file} cannot be read: ${error.message}`);
    },
  );
  if (content) requireSameGlobals(content, globals, globals.file);
  return content;
}

/** Enough for some hundred thousand tables. A larger file is not read into memory. */
const LARGEST_MANIFEST_BYTES = 64 * 1024 * 1024;

/** A manifest of the same backup will do: another version of the agent may have written it in other words. */
async function putManifest({ connection, manifest, key }: Copying): Promise<void> {
  const name = manifestName(manifest.file) as string;
  const size = await sizeOf(connection, name);
  if (size === null) return putNew(connection, manifestFile(name, manifest, key));
  if (size > LARGEST_MANIFEST_BYTES) throw anotherFile(connection, name);
  const there = parseManifest((await buffer(receive(connection, name, size))).toString());
  const same = there.found && there.record.file === manifest.file && there.record.sha256 === manifest.sha256;
  if (!same) throw anotherFile(connection, name);
}

function manifestFile(name: string, manifest: Manifest, key: ManifestKey): NewFile {
  const text = Buffer.from(textForCopy(key, manifest));
  return {
    name,
    stack: manifest.stack,
    bytes: text.length,
    sha256: () => sha256Of(text),
    content: Readable.from([text]),
  };
}

/** Checked before a byte is sent: a file that is not as recorded would be sent in vain at every run. */
export async function requireRecorded(copying: Copying): Promise<void> {
  const { manifest } = copying;
  if ((await sha256OfAll(read(copying, "reading"))) === manifest.sha256) return;
  throw unusable(`${manifest.file} is corrupt: its bytes are not those that its manifest recorded`);
}

export async function* read(
  { path, manifest: { file, bytes }, report }: Copying,
  label: string,
): AsyncGenerator<Buffer> {
  const progress = report.progress(label, bytes);
  try {
    yield* watched(createReadStream(path, { highWaterMark: 1 << 18 }), countInto(progress));
  } catch (error) {
    throw unusable(`${file} cannot be read: ${(error as Error).message}`);
  } finally {
    progress.end();
  }
}

function unusable(what: string): Stop {
  return new Stop(
    EXIT.unusableBackup,
    `${what}. It was not sent.`,
    "`npx budgie verify all` shows which are good. Delete what is not.",
  );
}

export function anotherFile(connection: SshConnection, name: string): Stop {
  return refused(
    connection,
    `${remotePath(connection, name)} is another file than the one of that name here, and was left as it is`,
    "Move it away on the server, or give this stack a folder of its own (`budgie:offsiteSsh`), then run: npx budgie push",
  );
}
