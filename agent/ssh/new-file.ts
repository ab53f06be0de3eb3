import type { SshConnection } from "./connection.ts";
import {
  asRefusal,
  openNew,
  refused,
  remotePath,
  removeFile,
  renameToNew,
  requireRemoteSpace,
  sync,
} from "./folder.ts";
import { diskWorkMs, holds } from "./remote-hash.ts";
import { send } from "./transfer.ts";

/**
 * The invariant of the folder on the server: a file under a final name is whole, or it does not exist, and it is never written
 * again. Bytes go to a hidden partial name. Then come fsync, the comparison of the bytes, and the final name, in that order. (SFTP
 * cannot fsync a folder, so after a power cut there the name may be gone. The next run's listing shows that.)
 */

/** Only this stack's leftovers are its to remove: another stack's may be growing at this moment. */
export function partialName(stack: string, name: string): string {
  return `.partial-${stack}-${name}`;
}

export interface NewFile {
  name: string;
  bytes: number;
  /** Called once the content was sent: encrypted content has another hash each time. */
  sha256: () => string;
  stack: string;
  content: AsyncIterable<Buffer>;
}

/** Writes a file that is not in the folder yet. Throws a Stop, also when what arrived is not the expected content. */
export async function putNew(connection: SshConnection, file: NewFile): Promise<void> {
  await requireRemoteSpace(connection, file.bytes);
  const partial = partialName(file.stack, file.name);
  try {
    await write(connection, partial, file);
    if (!(await holds(connection, partial, { bytes: file.bytes, sha256: file.sha256() }))) {
      throw refused(connection, `${remotePath(connection, file.name)} did not arrive as it was sent`);
    }
    await renameToNew(connection, partial, file.name);
  } catch (error) {
    // A full disk should not stay full because of it. Without a connection it stays until the next run.
    await removeFile(connection, partial).catch(() => undefined);
    throw error;
  }
}

async function write(connection: SshConnection, partial: string, file: NewFile): Promise<void> {
  const { ask, sftp } = connection;
  const handle = await openNew(connection, partial);
  const close = () => ask<void>(answer => sftp.close(handle, answer));
  try {
    await send(connection, handle, file.content);
    await sync(connection, handle, diskWorkMs(file.bytes));
    await close();
  } catch (error) {
    // A file that is open keeps its room on the disk, even when its name is gone.
    await close().catch(() => undefined);
    const path = remotePath(connection, partial);
    throw asRefusal(connection, `${path} could not be written, perhaps because the disk is full`, error);
  }
}
