import type { SshConnection } from "./connection.ts";
import { asRefusal, remotePath } from "./folder.ts";

/**
 * How much one SFTP packet carries, and how many are under way at once: 2 MB in all. So nothing waits for a distant server at every
 * packet, and memory stays flat whatever the file's size. ssh2's own streams wait, and its fastPut can neither insist on a new
 * file nor fsync it.
 */
const PACKET_BYTES = 32 * 1024;
const UNDER_WAY = 64;

/** Writes what comes into an open file of the server, from its beginning. Throws what the server or the source throws. */
export async function send(
  { ask, sftp }: SshConnection,
  handle: Buffer,
  source: AsyncIterable<Buffer>,
): Promise<void> {
  const underWay: Promise<void>[] = [];
  let taken = 0;
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length; from += PACKET_BYTES) {
      const [length, at] = [Math.min(PACKET_BYTES, chunk.length - from), taken + from];
      if (underWay.length === UNDER_WAY) await underWay.shift();
      underWay.push(heard(ask<void>(answer => sftp.write(handle, chunk, from, length, at, answer))));
    }
    taken += chunk.length;
  }
  await Promise.all(underWay);
}

/** Reads the first `bytes` bytes of a file in the folder, in order; fewer when it ends before. Throws a Stop. */
export async function* receive(
  connection: SshConnection,
  name: string,
  bytes: number,
): AsyncGenerator<Buffer> {
  const { ask, sftp } = connection;
  const path = remotePath(connection, name);
  try {
    const handle = await ask<Buffer>(answer => sftp.open(path, "r", answer));
    yield* chunksOf(connection, handle, bytes);
    await ask<void>(answer => sftp.close(handle, answer));
  } catch (error) {
    throw asRefusal(connection, `${path} could not be read back`, error);
  }
}

async function* chunksOf(connection: SshConnection, handle: Buffer, bytes: number): AsyncGenerator<Buffer> {
  const underWay: Promise<Buffer>[] = [];
  for (let asked = 0; asked < bytes || underWay.length > 0; ) {
    while (asked < bytes && underWay.length < UNDER_WAY) {
      underWay.push(heard(readAt(connection, handle, asked, Math.min(PACKET_BYTES, bytes - asked))));
      asked += PACKET_BYTES;
    }
    const chunk = await underWay.shift();
    if (chunk) yield chunk;
  }
}

/** A server may answer with less than it was asked for. */
async function readAt(
  { ask, sftp }: SshConnection,
  handle: Buffer,
  at: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let read = 0; read < length; ) {
    const more = await ask<number>(answer =>
      sftp.read(handle, buffer, read, length - read, at + read, answer),
    );
    if (more === 0) return buffer.subarray(0, read);
    read += more;
  }
  return buffer;
}

/** Marks a failure as heard, so that it does not end the agent before somebody awaits it, or when an earlier one failed first. */
function heard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
