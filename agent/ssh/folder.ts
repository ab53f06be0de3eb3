import { posix } from "node:path";
import type { FileEntryWithStats, Stats } from "ssh2";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { humanSize } from "../base/reporter.ts";
import { type SshConnection, unreachable } from "./connection.ts";

/** Codes of SFTP version 3. A full disk and an existing name both give FAILURE. */
const NO_SUCH_FILE = 2;
const PERMISSION_DENIED = 3;
const UNSUPPORTED = 8;

/** The folder on the server, as its path was configured. */
export function remotePath({ settings }: SshConnection, name: string): string {
  return posix.join(settings.path, name);
}

/** Makes the folder, for its owner alone, where its parent exists. Throws a Stop when that fails. */
export async function ensureFolder(connection: SshConnection): Promise<void> {
  const { ask, sftp, settings } = connection;
  const found = await status(connection, settings.path);
  if (found?.isDirectory()) return;
  if (found) throw refused(connection, `${settings.path} is there and is no folder`);
  try {
    await ask<void>(answer => sftp.mkdir(settings.path, { mode: 0o700 }, answer));
  } catch (error) {
    throw asRefusal(connection, `the folder ${settings.path} could not be made`, error);
  }
}

/** Every name in the folder, with its size in bytes. */
export async function listFolder(connection: SshConnection): Promise<Map<string, number>> {
  const { ask, sftp, settings } = connection;
  try {
    const entries = await ask<FileEntryWithStats[]>(answer => sftp.readdir(settings.path, answer));
    return new Map(entries.map(({ filename, attrs }) => [filename, attrs.size]));
  } catch (error) {
    throw asRefusal(connection, `the folder ${settings.path} could not be listed`, error);
  }
}

/** The size in bytes; null when there is nothing of that name. */
export async function sizeOf(connection: SshConnection, name: string): Promise<number | null> {
  return (await status(connection, remotePath(connection, name)))?.size ?? null;
}

/** Opens a new file, mode 0600. Removes a leftover of that name first. */
export async function openNew(connection: SshConnection, name: string): Promise<Buffer> {
  const { ask, sftp } = connection;
  const path = remotePath(connection, name);
  await removeFile(connection, name);
  try {
    return await ask<Buffer>(answer => sftp.open(path, "wx", 0o600, answer));
  } catch (error) {
    throw asRefusal(connection, `${path} could not be written`, error);
  }
}

/** Has the server's disk hold the bytes, where the server offers that (OpenSSH does). */
export async function sync(connection: SshConnection, handle: Buffer, silenceMs: number): Promise<void> {
  const { ask, sftp } = connection;
  await whereOffered(ask<unknown>(answer => sftp.ext_openssh_fsync(handle, answer), silenceMs));
}

/** Does nothing when there is no such file. */
export async function removeFile(connection: SshConnection, name: string): Promise<void> {
  const { ask, sftp } = connection;
  const path = remotePath(connection, name);
  try {
    await ask<void>(answer => sftp.unlink(path, answer));
  } catch (error) {
    if (codeOf(error) !== NO_SUCH_FILE) throw asRefusal(connection, `${path} could not be removed`, error);
  }
}

/**
 * Gives a file its final name. SFTP's own rename refuses a name that exists (OpenSSH makes a hard link). The look before it is for
 * servers that do not refuse. OpenSSH's POSIX rename would overwrite, so it is not used.
 */
export async function renameToNew(connection: SshConnection, from: string, to: string): Promise<void> {
  const { ask, sftp } = connection;
  const [source, target] = [remotePath(connection, from), remotePath(connection, to)];
  if ((await sizeOf(connection, to)) !== null) throw refused(connection, `${target} has appeared meanwhile`);
  try {
    await ask<void>(answer => sftp.rename(source, target, answer));
  } catch (error) {
    throw asRefusal(connection, `${source} could not be given its name ${to}`, error);
  }
}

/** statvfs(3): blocks that are free, and their size. */
interface DiskFigures {
  f_bavail: number | bigint;
  f_frsize: number | bigint;
}

/** Throws a Stop when the server says that its disk has less than `bytes` left. Many servers do not say. */
export async function requireRemoteSpace(connection: SshConnection, bytes: number): Promise<void> {
  const { ask, sftp, settings } = connection;
  const disk = await whereOffered(
    ask<DiskFigures>(answer => sftp.ext_openssh_statvfs(settings.path, answer)),
  );
  const free = disk ? Number(disk.f_bavail) * Number(disk.f_frsize) : Number.POSITIVE_INFINITY;
  if (free >= bytes) return;
  throw refused(
    connection,
    `its disk is full: ${humanSize(bytes)} are needed in ${settings.path}, ${humanSize(free)} are free`,
    "Free some space there, then run: npx budgie push",
  );
}

/** The Stop for a server that answers but does not do what it was asked. `what` says so, without a final dot. */
export function refused(connection: SshConnection, what: string, next?: string): Stop {
  const { user, host, port, path } = connection.settings;
  return new Stop(
    EXIT.storeRefused,
    `The server ${host} refused: ${what}.`,
    next ?? `See what ${user} may do there: sftp -P ${port} ${user}@${host}:${path}`,
  );
}

/** An error with a number is the server's answer. Every other error means that the connection is gone. */
export function asRefusal(connection: SshConnection, what: string, error: unknown): Stop {
  if (error instanceof Stop) return error;
  const { user, host, port, path } = connection.settings;
  const code = codeOf(error);
  if (code === undefined) return unreachable(connection.settings, (error as Error).message);
  if (code === NO_SUCH_FILE) {
    const next = `Make the folder: ssh -p ${port} ${user}@${host} mkdir -p '${posix.dirname(path)}'`;
    return refused(connection, `${what}, because what it lies in does not exist`, next);
  }
  const why = code === PERMISSION_DENIED ? `${user} has no permission` : (error as Error).message;
  return refused(connection, `${what} (${why})`);
}

async function status(connection: SshConnection, path: string): Promise<Stats | null> {
  const { ask, sftp } = connection;
  try {
    return await ask<Stats>(answer => sftp.stat(path, answer));
  } catch (error) {
    if (codeOf(error) === NO_SUCH_FILE) return null;
    throw asRefusal(connection, `${path} could not be looked at`, error);
  }
}

/** For an extension of the protocol: null from a server without it. ssh2 knows that beforehand, or the server says it. */
async function whereOffered<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (codeOf(error) === UNSUPPORTED || (error as Error).message.includes("does not support")) return null;
    throw error;
  }
}

function codeOf(error: unknown): number | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "number" ? code : undefined;
}
