import { chown, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { unpackBase } from "./base-backup.ts";
import { type ChainSource, freezeLast } from "./chain-source.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { Moment } from "./moment.ts";
import type { Recoverable } from "./recoverable.ts";
import { connectToMaintenance } from "./server.ts";
import { logOf } from "./server-log.ts";
import type { AgentSettings } from "./settings.ts";
import type { ThrowawayPlace } from "./throwaway-place.ts";
import { runThrowawayServer, type ThrowawayServer } from "./throwaway-server.ts";
import { startWalFeed } from "./wal-feed.ts";

const READY_WITHIN_MS = 120_000;
const ASK_EVERY_MS = 100;
/** Of a WAL without a transaction behind the moment asked for, which is then the state at its end. */
const NOT_REACHED = "recovery ended before configured recovery target was reached";

/**
 * Recovers the whole cluster as it was at `moment` in a throw-away server, and runs `work` with it: what was committed up to and
 * including that moment is there, nothing that was committed after it. The caller knows that the WAL goes that far: a WAL that ends
 * before, with nothing committed in between, is replayed to its end. Throws a Stop.
 */
export async function withRecoveredServer<T>(
  settings: AgentSettings,
  place: ThrowawayPlace,
  source: ChainSource,
  recoverable: Recoverable,
  moment: Moment,
  work: (server: ThrowawayServer) => Promise<T>,
): Promise<T> {
  // Both tries must see the same WAL: a transaction that came meanwhile would be replayed by the second.
  const frozen = await freezeLast(source, recoverable);
  const run = (target: Record<string, string>, unpacked: boolean) =>
    recoverOnce(settings, place, frozen, recoverable, { target, unpacked }, work);
  try {
    return await run({ recovery_target_time: moment.text, recovery_target_inclusive: "on" }, false);
  } catch (error) {
    const log = await readFile(logOf(place.directory), "utf8").catch(() => "");
    if (!log.includes(NOT_REACHED)) throw error;
    return run({}, true);
  }
}

async function recoverOnce<T>(
  settings: AgentSettings,
  place: ThrowawayPlace,
  source: ChainSource,
  { chain, base, segments }: Recoverable,
  { target, unpacked }: { target: Record<string, string>; unpacked: boolean },
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
      bytes: unpacked ? 0 : Math.ceil(base.clusterBytes * 1.2),
      fill: async (dataDirectory: string, _runAs: unknown, signal: AbortSignal) => {
        if (!unpacked) await unpackBase(source.base(chain, base), dataDirectory, place, signal);
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
        // What the live server does with its WAL and its log is not this one's to do.
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

/** It says that it is ready when it begins to replay, and takes connections when it has done so. */
async function promoted(server: ThrowawayServer): Promise<void> {
  for (;;) {
    server.lost.throwIfAborted();
    const session = await connectToMaintenance(server.settings, "budgie recovery").catch(error => {
      if (error instanceof Stop && error.code === EXIT.databaseUnreachable) return null;
      throw error;
    });
    if (session) return session.end();
    await delay(ASK_EVERY_MS);
  }
}
