import { chown, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { containerLockHolder, withContainerLock } from "../base/container-lock.ts";
import { fileExists } from "../base/file-exists.ts";
import { endServersIn } from "../server/processes.ts";

/**
 * In the database's image this is a volume, so it is a disk of the container's own that goes with the container. In the agent's
 * container it holds no database.
 */
export const THROWAWAY_HOME = "/var/lib/postgresql/data";
/** As messages name its disk. */
export const THROWAWAY_SHOWN = "the backup agent's container";

/** What a throw-away server is for. There is one of each at a time. */
export type Purpose = "drill" | "drill-at" | "base-backup" | "recovery" | "foreign-file" | "look";
const PURPOSES: readonly Purpose[] = ["drill", "drill-at", "base-backup", "recovery", "foreign-file", "look"];

/** Room for one throw-away server. Functions that must not run twice at once ask for it. */
export interface ThrowawayPlace {
  /** Empty, on disk, and PostgreSQL's own. */
  directory: string;
  postgres: { uid: number; gid: number };
}

/**
 * Runs `work` with the place for `purpose`. Before and afterwards it ends and removes everything in the place, also what a killed
 * run has left. Throws a Stop at once, naming the user, when the place is in use.
 * DESTROYS what is in the place: every database there is one to throw away.
 */
export function withThrowawayPlace<T>(
  purpose: Purpose,
  operation: string,
  work: (place: ThrowawayPlace) => Promise<T>,
): Promise<T> {
  const directory = directoryOf(purpose);
  return withContainerLock(directory, operation, async () => {
    const postgres = await postgresUser();
    const clear = async () => {
      await endServersIn(directory, postgres.uid);
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    };
    await clear();
    await mkdir(directory, { mode: 0o700 });
    await chown(directory, postgres.uid, postgres.gid);
    try {
      const result = await work({ directory, postgres });
      await clear();
      return result;
    } catch (error) {
      // Why the work failed matters more; the next run clears again.
      await clear().catch(() => undefined);
      throw error;
    }
  });
}

/** Those that a killed run has left. A server has its folder for as long as it runs. */
export async function leftPlaces(): Promise<Purpose[]> {
  const left = await Promise.all(
    PURPOSES.map(
      async purpose => (await fileExists(directoryOf(purpose))) && (await userOfPlace(purpose)) === null,
    ),
  );
  return PURPOSES.filter((_, index) => left[index]);
}

/** Ends and removes what killed runs have left. Leaves places alone that are in use. */
export async function clearLeftPlaces(): Promise<void> {
  for (const purpose of await leftPlaces()) {
    await withThrowawayPlace(purpose, "tidying up", async () => undefined).catch(error => {
      if (!(error instanceof Stop) || error.code !== EXIT.busy) throw error;
    });
  }
}

/** Who is using the place, or null. */
export function userOfPlace(purpose: Purpose): Promise<string | null> {
  return containerLockHolder(directoryOf(purpose));
}

function directoryOf(purpose: Purpose): string {
  return join(THROWAWAY_HOME, `throw-away-${purpose}`);
}

/** PostgreSQL refuses to run as root, which the agent is. */
async function postgresUser(): Promise<{ uid: number; gid: number }> {
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(await readFile("/etc/passwd", "utf8"));
  if (!line)
    throw new Stop(
      EXIT.failed,
      "The backup agent's image has no user postgres.",
      "Run `npm run pulumi -- up`.",
    );
  return { uid: Number(line[1]), gid: Number(line[2]) };
}
