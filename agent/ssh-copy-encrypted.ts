import { createHash } from "node:crypto";
import { encrypted, encryptedBytes, mayBeEncrypted } from "./encryption.ts";
import type { Manifest } from "./manifest.ts";
import { encryptedKeys } from "./object-key.ts";
import type { Reporter } from "./reporter.ts";
import type { SshConnection } from "./ssh-connection.ts";
import { anotherFile, read, readGlobals, requireRecorded } from "./ssh-copy.ts";
import { sizeOf } from "./ssh-folder.ts";
import { putNew } from "./ssh-new-file.ts";
import { textForCopy } from "./store-copy.ts";

/**
 * The same as `copyBackup`, encrypted. The names hold the hash of what was encrypted, as in a bucket: what has such a name on the
 * server got it only once it was whole, so of a file that is there already its size is all that must be right.
 */
export async function copyEncrypted(
  connection: SshConnection,
  backupFile: string,
  manifest: Manifest,
  recipients: readonly string[],
  report: Reporter,
): Promise<void> {
  const { stack, bytes } = manifest;
  const names = encryptedKeys("", manifest);
  const put = async (name: string, plainBytes: number, content: () => AsyncIterable<Buffer>) => {
    const size = await sizeOf(connection, name);
    if (size !== null && mayBeEncrypted(size, plainBytes)) return;
    if (size !== null) throw anotherFile(connection, name);
    const hash = createHash("sha256");
    await putNew(connection, {
      name,
      stack,
      bytes: await encryptedBytes(recipients, plainBytes),
      sha256: () => hash.digest("hex"),
      content: hashed(encrypted(recipients, content()), hash),
    });
  };
  if ((await sizeOf(connection, names.dump)) === null) await requireRecorded(backupFile, manifest, report);
  await put(names.dump, bytes, () => read(backupFile, manifest, "sending", report));
  const globals = await readGlobals(backupFile, manifest);
  if (globals) await put(names.globals, globals.length, () => only(globals));
  const text = Buffer.from(textForCopy(manifest));
  // Another version of the agent may have put it into other words.
  if ((await sizeOf(connection, names.manifest)) === null)
    await put(names.manifest, text.length, () => only(text));
}

async function* hashed(
  chunks: AsyncIterable<Buffer>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
