import { chown, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { describeEnd, type Finished, type RunAs, startReader } from "../base/child-process.ts";
import { withContainerLock } from "../base/container-lock.ts";
import { fileExists } from "../base/file-exists.ts";
import { endServersIn } from "../server/processes.ts";
import { initializeCluster } from "./empty-cluster.ts";

/** In the container's own layer, which goes with the container: so its clusters are always of the image's own PostgreSQL. */
const HOME = "/var/cache/budgie-cluster";
const MAKING = join(HOME, "making");
/**
 * The user nobody. A backup's functions run as PostgreSQL's user, in the throw-away servers. What every later server begins with must
 * be out of their reach, while it is made as well.
 */
const NOBODY = { uid: 65_534, gid: 65_534 };

/**
 * Makes a new, empty cluster. The container's first one is packed, and the later ones are unpacked from that, which takes a fifth of
 * initdb's time: of a small backup, initdb is a third of the whole drill. Where nothing can be kept, initdb runs each time.
 */
export async function unpackCluster(dataDirectory: string, runAs: RunAs, signal: AbortSignal): Promise<void> {
  try {
    await unpack(await packedCluster(runAs.env, signal), dataDirectory, runAs, signal);
  } catch {
    signal.throwIfAborted();
    await rm(dataDirectory, { recursive: true, force: true });
    await initializeCluster(dataDirectory, runAs, signal);
  }
}

/**
 * The archive. It is not flushed to the disk, because that takes longer than initdb. So it counts until the machine starts anew: its name
 * has the number that Linux gives to each start.
 */
async function packedCluster(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const start = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const archive = join(HOME, `${start}.tar`);
  if (!(await fileExists(archive)))
    await withContainerLock(HOME, "making an empty cluster", () => pack(archive, env, signal));
  return archive;
}

async function pack(archive: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  await endServersIn(MAKING, NOBODY.uid);
  await rm(HOME, { recursive: true, force: true });
  await mkdir(HOME, { mode: 0o711 });
  await mkdir(MAKING, { mode: 0o700 });
  await chown(MAKING, NOBODY.uid, NOBODY.gid);
  const data = join(MAKING, "data");
  await initializeCluster(data, { ...NOBODY, env }, signal);
  const fresh = join(HOME, "fresh.tar");
  const file = await open(fresh, "wx", 0o644);
  try {
    const { finished } = startReader("tar", ["-c", "-f", "-", "-C", data, "."], file.fd, signal);
    requireSuccess(await finished);
  } finally {
    await file.close();
  }
  await rename(fresh, archive);
  await rm(MAKING, { recursive: true, force: true });
}

async function unpack(
  archive: string,
  dataDirectory: string,
  runAs: RunAs,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dataDirectory, { mode: 0o700 });
  await chown(dataDirectory, runAs.uid, runAs.gid);
  const args = ["-x", "-f", archive, "-C", dataDirectory];
  const end = await startReader("tar", args, "pipe", signal, runAs).finished;
  // The next server gets a new one.
  if (end.code !== 0 && !signal.aborted) await rm(archive, { force: true });
  requireSuccess(end);
}

function requireSuccess(end: Finished): void {
  if (end.code !== 0) throw new Error(`tar ended with ${describeEnd(end)}`);
}
