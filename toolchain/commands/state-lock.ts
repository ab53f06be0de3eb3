import { readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** What an update leaves in a state of files while it runs, and for good when it is killed. */
export interface StateLock {
  pid: number;
  hostname: string;
  /** When the update began. */
  timestamp: string;
}

/** The locks of one stack. A lock whose writing was cut off is one that says nothing of itself: null. */
export async function readLocks(stateRoot: string, stack: string): Promise<(StateLock | null)[]> {
  const folder = join(stateRoot, ".pulumi", "locks");
  const files = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  // Pulumi keeps notes of its own beside each lock: `….json.attrs`.
  const own = files.filter(
    ({ name, parentPath }) => name.endsWith(".json") && parentPath.split("/").at(-1) === stack,
  );
  return Promise.all(
    own.map(async ({ parentPath, name }) => {
      try {
        return JSON.parse(await readFile(join(parentPath, name), "utf8")) as StateLock;
      } catch {
        return null;
      }
    }),
  );
}

/** Why the update that holds this lock may still be at work; nothing when it is certainly gone. */
export async function mayStillRun(lock: StateLock): Promise<string | undefined> {
  if (lock.hostname !== hostname()) {
    return `The update runs, or was killed, on the machine ${lock.hostname} (process ${lock.pid}), which cannot be asked from here.`;
  }
  const { stdout } = await execa("ps", ["-o", "stat=,comm=", "-p", String(lock.pid)], { reject: false });
  // The number may be another program's by now; and one that ended may still be listed, as a zombie.
  const runs = stdout.includes("pulumi") && !stdout.trim().startsWith("Z");
  return runs ? `Process ${lock.pid}, a pulumi begun at ${lock.timestamp}, is at work on it.` : undefined;
}
