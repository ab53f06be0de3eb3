import { chown, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { EXIT, Stop } from "./exit-codes.ts";
import { endServersIn } from "./server-processes.ts";
import { asSoleHolder, holderOf } from "./sole-holder.ts";

/**
 * In the database's image this is a volume: a disk of the container's own, gone with the container. In the agent's
 * container no database is in it.
 */
export const THROWAWAY_HOME = "/var/lib/postgresql/data";

/** What a throw-away server is for. One of each at a time. */
export type Purpose = "drill" | "base-backup" | "recovery";
const PURPOSES: readonly Purpose[] = ["drill", "base-backup", "recovery"];

/** Room for one throw-away server. What must not happen to two at once asks for it. */
export interface ThrowawayPlace {
  /** Empty, on disk, and PostgreSQL's own. */
  directory: string;
  postgres: { uid: number; gid: number };
}

/**
 * Runs `work` with the place for `purpose`, after ending and removing whatever a killed run has left there, and ends and
 * removes everything in it afterwards. Throws a Stop at once, naming who, when somebody is using it.
 * DESTROYS what is in the place; no database that is not thrown away is ever there.
 */
export function withThrowawayPlace<T>(
  purpose: Purpose,
  operation: string,
  work: (place: ThrowawayPlace) => Promise<T>,
): Promise<T> {
  const directory = directoryOf(purpose);
  return asSoleHolder(directory, operation, async () => {
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

/** Ends and removes what killed runs have left, and leaves alone what is in use. */
export async function clearThrowawayPlaces(): Promise<void> {
  for (const purpose of PURPOSES) {
    await withThrowawayPlace(purpose, "tidying up", async () => undefined).catch(error => {
      if (!(error instanceof Stop) || error.code !== EXIT.busy) throw error;
    });
  }
}

/** Who is using the place, or null. */
export function userOfPlace(purpose: Purpose): Promise<string | null> {
  return holderOf(directoryOf(purpose));
}

function directoryOf(purpose: Purpose): string {
  return join(THROWAWAY_HOME, `throw-away-${purpose}`);
}

/** PostgreSQL refuses to run as root, which the agent is. */
async function postgresUser(): Promise<{ uid: number; gid: number }> {
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(await readFile("/etc/passwd", "utf8"));
  if (!line)
    throw new Stop(EXIT.failed, "The backup agent's image has no user postgres.", "Run `pulumi up`.");
  return { uid: Number(line[1]), gid: Number(line[2]) };
}
