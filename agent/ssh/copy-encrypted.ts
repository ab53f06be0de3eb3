import { createHash } from "node:crypto";
import { watched } from "../base/passing-bytes.ts";
import { encrypted, encryptedBytes, mayBeEncrypted } from "../encryption/encrypt.ts";
import { textForCopy } from "../manifest/text-for-copy.ts";
import { encryptedKeys } from "../store/object-key.ts";
import { anotherFile, type Copying, read, readGlobals, requireRecorded } from "./copy.ts";
import { sizeOf } from "./folder.ts";
import { putNew } from "./new-file.ts";

/**
 * The same as `copyBackup`, encrypted. As in a bucket, the names hold the hash of what was encrypted. A file on the server got such a
 * name only once it was whole. So of a file that is there already, only the size must be right.
 */
export async function copyEncrypted(copying: Copying, recipients: readonly string[]): Promise<void> {
  const { connection, path, manifest, key } = copying;
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
      content: watched(encrypted(recipients, content()), chunk => void hash.update(chunk)),
    });
  };
  if ((await sizeOf(connection, names.dump)) === null) await requireRecorded(copying);
  await put(names.dump, bytes, () => read(copying, "sending"));
  const globals = await readGlobals(path, manifest);
  if (globals) await put(names.globals, globals.length, () => only(globals));
  const text = Buffer.from(textForCopy(key, manifest));
  // One that another version of the agent wrote in other words will do.
  if ((await sizeOf(connection, names.manifest)) === null)
    await put(names.manifest, text.length, () => only(text));
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
