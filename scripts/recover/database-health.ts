import { setTimeout as delay } from "node:timers/promises";
import { containerLog } from "../../engine/container-log.ts";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import { whyItDoesNotStart, withoutInitdbHint } from "../../shared/server-log.ts";
import { databaseLogin } from "../stack/database-login.ts";
import { containerOf, type Stack, type StackContainer } from "../stack/stack-containers.ts";

/**
 * What is known of a database. `stopped`: it ended as it was told to, so starting it is what comes first. `unsure`: something is the
 * matter, and it is not known to be the volume.
 */
export type Health = "well" | "broken" | "stopped" | "unsure";

export interface Diagnosis {
  health: Health;
  /** What the server says, as it is to be shown. */
  says: string;
}

/** A server that replays its log after a crash is well. It only takes its time. */
const STARTS_WITHIN_MS = 120_000;
const LOOK_EVERY_MS = 1000;
/** So often the same error in a row is no accident of a start. */
const ERRORS_THAT_SAY_ENOUGH = 3;
const RESTARTS_THAT_SAY_ENOUGH = 3;
/** PostgreSQL's exit code when it gives up at its start, or after one of its processes crashed. */
const GAVE_UP = 1;
const STARTING =
  /starting up|shutting down|not yet accepting|in recovery mode|Connection refused|ended while it was asked/;
/** What it says where files are missing or hold nonsense. Anything else may be somebody's setting. */
const DAMAGE =
  /could not (open|read|find|access|load)|invalid page|is not a valid data directory|cache lookup failed|catalog is missing|relation mapping|unexpected (chunk|data|zeros|end)|missing chunk|missing \d+ attribute|corrupt|checksum|is missing|terminated by signal|server closed the connection|terminating connection because of crash/i;

/** Every row of every catalogue, but for large objects. Those are data, which a restore puts right without a new volume. */
const READ_CATALOGUES = `DO $do$
DECLARE name text; rows bigint;
BEGIN
  FOR name IN SELECT relname FROM pg_class
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND relname <> 'pg_largeobject' LOOP
    EXECUTE format('SELECT count(t.*) FROM pg_catalog.%I AS t', name) INTO rows;
  END LOOP;
END $do$`;

/** Looks at the server of the stack's database, for as long as it may still be starting. Changes nothing. */
export async function diagnose(stack: Stack): Promise<Diagnosis> {
  const database = containerOf(stack, "database", "present");
  const volume = databaseVolumeName(stack.prefix);
  const giveUpAt = Date.now() + STARTS_WITHIN_MS;
  let last = "";
  for (let times = 0; ; await delay(LOOK_EVERY_MS)) {
    const inspected = await database.container.inspect();
    const { Running: running, Restarting: restarting, Paused: paused, ExitCode: code } = inspected.State;
    if (paused) return { health: "stopped", says: `${database.name} is paused.` };
    if (!running && !restarting) return ended(database, volume, code, "stopped");
    // One that ended once may be well after its next start.
    if (restarting && inspected.RestartCount >= RESTARTS_THAT_SAY_ENOUGH)
      return ended(database, volume, code, "unsure");
    const error = restarting ? "it is not yet accepting connections" : await whatProbeSays(database);
    if (error === null) return { health: "well", says: "" };
    times = error === last ? times + 1 : 1;
    last = error;
    const waits = STARTING.test(error);
    if (!waits && times >= ERRORS_THAT_SAY_ENOUGH)
      return { health: DAMAGE.test(error) ? "broken" : "unsure", says: error };
    if (Date.now() > giveUpAt) return { health: "unsure", says: error };
  }
}

/** One that gave up is broken. One that was stopped, or killed as for its memory, may be well. */
async function ended(
  database: StackContainer,
  volume: string,
  code: number,
  otherwise: Health,
): Promise<Diagnosis> {
  const says = await lastWords(database);
  const gaveUp = code === GAVE_UP || whyItDoesNotStart(says, volume)?.damaged === true;
  return judgeLog(gaveUp ? "broken" : otherwise, says, volume);
}

/** What keeps a server from starting and is no damage. */
const NO_DAMAGE =
  /No space left on device|Disk quota exceeded|Cannot allocate memory|configuration file .* contains errors|unrecognized configuration parameter|could not create lock file|could not bind|could not create any TCP/;

/** A full disk, a wrong setting and another version are no damage, and there are better cures than a new volume. */
export function judgeLog(health: Health, log: string, volume: string): Diagnosis {
  const why = whyItDoesNotStart(log, volume);
  const says = why ? `${why.what}\n${log}` : log;
  if (health === "broken" && why === undefined && NO_DAMAGE.test(log)) return { health: "unsure", says };
  return { health: why && !why.damaged ? "unsure" : health, says };
}

async function lastWords({ container }: StackContainer): Promise<string> {
  return withoutInitdbHint((await containerLog(container, { tail: 12 })).trimEnd());
}

/** Null where the database answers over TCP, and all of its catalogues can be read. */
async function whatProbeSays({ container }: StackContainer): Promise<string | null> {
  const login = ["-h", "127.0.0.1", ...(await databaseLogin(container))];
  const answer = await psqlIfRunning(container, ["-XAtq", ...login, "-c", READ_CATALOGUES]);
  if (answer === undefined) return "it is not yet accepting connections";
  if (answer.code === 0) return null;
  // A container that ends takes psql with it, which then says nothing: that is one more start in vain, and no answer.
  return answer.stderr.trim() || `it ended while it was asked (exit code ${answer.code})`;
}
