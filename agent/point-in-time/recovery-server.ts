import { chown, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { untilAnswered } from "../base/until.ts";
import { connectToMaintenance, databaseExists, inDatabase } from "../server/connection.ts";
import { logOf } from "../throwaway/log.ts";
import type { ThrowawayPlace } from "../throwaway/place.ts";
import { runThrowawayServer, type ThrowawayServer } from "../throwaway/server.ts";
import { unpackBase } from "./base-backup.ts";
import { type ChainSource, freezeLast } from "./chain-source.ts";
import type { Moment } from "./moment.ts";
import type { Recoverable } from "./recoverable.ts";
import { startWalFeed } from "./wal-feed.ts";

const READY_WITHIN_MS = 120_000;
const ASK_EVERY_MS = 100;
/** What the server logs when the WAL holds no transaction behind the moment asked for. Then the WAL's end is the state of that moment. */
const NOT_REACHED = "recovery ended before configured recovery target was reached";

/** Where a recovery ends, as the server's settings. */
export type RecoveryTarget = Readonly<Record<string, string>>;

/** What was committed up to and including that moment is there, and nothing that was committed after it. */
export function targetOfMoment({ text }: Moment): RecoveryTarget {
  return { recovery_target_time: text, recovery_target_inclusive: "on" };
}

/** What was written before that position in the WAL is there, and nothing else. */
export function targetOfPosition(lsn: string): RecoveryTarget {
  return { recovery_target_lsn: lsn, recovery_target_inclusive: "off" };
}

/**
 * Recovers the whole cluster up to `target` in a throw-away server, and runs `work` with it. The caller must know that the WAL goes
 * that far: WAL that ends earlier is replayed to its end, as if nothing was committed in between. Throws a Stop.
 */
export async function withRecoveredServer<T>(
  settings: AgentSettings,
  place: ThrowawayPlace,
  source: ChainSource,
  recoverable: Recoverable,
  target: RecoveryTarget,
  work: (server: ThrowawayServer) => Promise<T>,
): Promise<T> {
  // Both tries must see the same WAL: the second would replay a transaction that came meanwhile.
  const frozen = await freezeLast(source, recoverable);
  const run = (attempt: Attempt, then: typeof work) =>
    recoverOnce(settings, place, frozen, recoverable, attempt, then);
  const whole: typeof work = async server => {
    await requireUnlogged(server, settings.database);
    return work(server);
  };
  try {
    return await run({ target, data: "packed" }, whole).catch(async error => {
      const log = await readFile(logOf(place.directory), "utf8").catch(() => "");
      if (!log.includes(NOT_REACHED) || error instanceof StartAgain) throw error;
      return run({ target: {}, data: "unpacked" }, whole);
    });
  } catch (error) {
    if (!(error instanceof StartAgain)) throw error;
    return run({ target: {}, data: "recovered" }, work);
  }
}

/** One start of the server, and in which state it finds its data. */
interface Attempt {
  target: RecoveryTarget;
  data: "packed" | "unpacked" | "recovered";
}

/** The server must be ended, and started on what it has recovered. */
class StartAgain extends Error {}

/**
 * PostgreSQL 16 empties unlogged relations at the end of a recovery, from files that it may not have written yet: a sequence that was
 * made since the base backup then holds nothing at all, and no pg_dump ends. A start after a crash empties them once more, and by then
 * the files are written. Throws StartAgain where that is needed.
 */
async function requireUnlogged({ settings }: ThrowawayServer, database: string): Promise<void> {
  const maintenance = await connectToMaintenance(settings, "budgie recovery");
  try {
    if (!(await databaseExists(maintenance, database))) return;
    const { rowCount } = await inDatabase(settings, database, "budgie recovery", session =>
      session.query("SELECT FROM pg_class WHERE relkind = 'S' AND relpersistence = 'u' LIMIT 1"),
    );
    if (rowCount === 0) return;
    await maintenance.query("CHECKPOINT");
  } finally {
    await maintenance.end();
  }
  throw new StartAgain();
}

async function recoverOnce<T>(
  settings: AgentSettings,
  place: ThrowawayPlace,
  source: ChainSource,
  { chain, base, segments }: Recoverable,
  { target, data }: Attempt,
  work: (server: ThrowawayServer) => Promise<T>,
): Promise<T> {
  const { directory } = place;
  const rules = join(directory, "pg_hba.conf");
  // Only root and PostgreSQL's own user reach the socket's directory.
  await writeFile(rules, "local all all trust\n", { mode: 0o644 });
  const feed = await startWalFeed(place, segments, segment => source.segment(chain, segment));
  try {
    const plan = {
      superuser: settings.user,
      bytes: data === "packed" ? Math.ceil(base.clusterBytes * 1.2) : 0,
      fill: async (dataDirectory: string, _runAs: unknown, signal: AbortSignal) => {
        if (data === "packed") await unpackBase(source.base(chain, base), dataDirectory, place, signal);
        if (data === "recovered") return;
        const signalFile = join(dataDirectory, "recovery.signal");
        await writeFile(signalFile, "");
        await chown(signalFile, place.postgres.uid, place.postgres.gid);
      },
      parameters: {
        ...base.parameters,
        ...target,
        restore_command: feed.command,
        recovery_target_timeline: "current",
        recovery_target_action: "promote",
        hot_standby: "off",
        hba_file: rules,
        // The live server archives, replicates and logs; this one must not.
        archive_mode: "off",
        primary_conninfo: "",
        logging_collector: "off",
        log_destination: "stderr",
        ssl: "off",
      },
      readyWithinMs: READY_WITHIN_MS,
    };
    return await runThrowawayServer(settings, place, plan, async server => {
      await promoted(server);
      return work(server);
    });
  } catch (error) {
    throw feed.failure() ?? error;
  } finally {
    await feed.stop();
  }
}

/** Waits until it takes connections. It says that it is ready when it begins to replay, and takes none before it has ended that. */
async function promoted({ settings, lost }: ThrowawayServer): Promise<void> {
  const connected = () =>
    connectToMaintenance(settings, "budgie recovery").catch(error => {
      if (error instanceof Stop && error.code === EXIT.databaseUnreachable) return null;
      throw error;
    });
  const session = await untilAnswered(connected, ASK_EVERY_MS, lost);
  await session.end();
}
