import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { manifestName } from "./backup-name.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { requireSameGlobals } from "./globals.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import type { Reporter } from "./reporter.ts";
import type { SshConnection } from "./ssh-connection.ts";
import { refused, remotePath, sizeOf } from "./ssh-folder.ts";
import { type NewFile, putNew } from "./ssh-new-file.ts";
import { holds } from "./ssh-remote-hash.ts";
import { receive } from "./ssh-transfer.ts";
import { textForCopy } from "./store-copy.ts";

/**
 * Copies a backup, the roles that belong to it, and last its manifest: a copy counts once that is there. What is there already
 * and the same is left as it is, so a run that was cut is finished by the next one. A partial file is started over: to go on
 * with it would mean to read it all back first, to know that its bytes are these, which over most lines takes as long as
 * sending them.
 *
 * Throws a Stop: storeUnreachable; storeRefused, also when another file has the name; unusableBackup when the file here is
 * not what its manifest says.
 */
export async function copyBackup(
  connection: SshConnection,
  backupFile: string,
  manifest: Manifest,
  report: Reporter,
): Promise<void> {
  const name = manifest.file;
  const { sha256 } = manifest;
  if ((await sizeOf(connection, name)) === null) {
    await requireRecorded(backupFile, manifest, report);
    const content = read(backupFile, manifest, "sending", report);
    await putNew(connection, { ...manifest, name, sha256: () => sha256, content });
  } else if (!(await holds(connection, name, manifest))) {
    throw anotherFile(connection, name);
  }
  await putGlobals(connection, backupFile, manifest);
  await putManifest(connection, manifest);
}

/** Whoever removed them here has a backup still, which is copied without. */
async function putGlobals(connection: SshConnection, backupFile: string, manifest: Manifest): Promise<void> {
  const content = await readGlobals(backupFile, manifest);
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

/** Some hundred thousand tables. What is larger is not read into memory. */
const LARGEST_MANIFEST_BYTES = 64 * 1024 * 1024;

/** A manifest of the same backup will do: another version of the agent may have put it into other words. */
async function putManifest(connection: SshConnection, manifest: Manifest): Promise<void> {
  const name = manifestName(manifest.file) as string;
  const size = await sizeOf(connection, name);
  if (size === null) return putNew(connection, manifestFile(name, manifest));
  if (size > LARGEST_MANIFEST_BYTES) throw anotherFile(connection, name);
  const there = parseManifest((await buffer(receive(connection, name, size))).toString());
  const same =
    there.found && there.manifest.file === manifest.file && there.manifest.sha256 === manifest.sha256;
  if (!same) throw anotherFile(connection, name);
}

function manifestFile(name: string, manifest: Manifest): NewFile {
  const text = Buffer.from(textForCopy(manifest));
  return {
    name,
    stack: manifest.stack,
    bytes: text.length,
    sha256: () => createHash("sha256").update(text).digest("hex"),
    content: Readable.from([text]),
  };
}

/** Before a byte is sent, because it would be sent in vain at every run. */
export async function requireRecorded(path: string, manifest: Manifest, report: Reporter): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of read(path, manifest, "reading", report)) hash.update(chunk);
  if (hash.digest("hex") === manifest.sha256) return;
  throw unusable(`${manifest.file} is corrupt: its bytes are not those that its manifest recorded`);
}

export async function* read(
  path: string,
  { file, bytes }: Manifest,
  label: string,
  report: Reporter,
): AsyncGenerator<Buffer> {
  const progress = report.progress(label, bytes);
  let before = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) {
      yield chunk;
      before += chunk.length;
      progress.at(before);
    }
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
