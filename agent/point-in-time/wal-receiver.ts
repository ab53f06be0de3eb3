import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { SLOT } from "../../shared/replication-slot.ts";
import { requireSpace, watchReserve } from "../base/durable-file.ts";
import { endReplicationClientsIn, runReplicationClient } from "../server/replication-client.ts";
import { type Chain, receivingFolder } from "./wal-chain.ts";
import { padPartials } from "./wal-mend.ts";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** A receiver that has run for so long starts again without a longer pause. */
const STEADY_MS = 60_000;
const STATUS_EVERY_SECONDS = 5;
const WATCH_EVERY_MS = 100;

export interface WalReceiver {
  /** Why it does not run; null while it does. */
  trouble(): string | null;
  /** Ends it, and resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * Keeps pg_receivewal writing the server's WAL into a chain. Each piece is on disk before the server hears that it came, and the
 * slot makes the server keep what it has not heard of. So after any kill, on either side, it goes on where it was. It stops while the
 * disk has no room for another segment beside its reserve: a database on the same disk needs the rest more, and the slot has a bound
 * of its own.
 */
export function startWalReceiver(settings: AgentSettings, chain: Chain, segmentBytes: number): WalReceiver {
  const ends = new AbortController();
  let trouble: string | null = null;
  const running = (async () => {
    for (let pause = FIRST_PAUSE_MS; !ends.signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const startedAt = Date.now();
      const full = new AbortController();
      const stopWatching = watchReserve(
        settings.backupDir,
        settings.backupDirShown,
        WATCH_EVERY_MS,
        why => full.abort(why),
        segmentBytes,
      );
      try {
        await requireSpace(settings.backupDir, settings.backupDirShown, segmentBytes);
        await endReplicationClientsIn(receivingFolder(chain));
        await padPartials(chain, segmentBytes);
        await receive(settings, chain, AbortSignal.any([ends.signal, full.signal]), () => {
          trouble = null;
        });
        trouble = "it ended by itself";
      } catch (error) {
        trouble = (error as Error).message;
      } finally {
        stopWatching();
      }
      if (Date.now() - startedAt > STEADY_MS) pause = FIRST_PAUSE_MS;
      await delay(pause, undefined, { signal: ends.signal }).catch(() => undefined);
    }
  })();
  return {
    trouble: () => trouble,
    stop: async () => {
      ends.abort();
      await running;
      await endReplicationClientsIn(receivingFolder(chain));
    },
  };
}

async function receive(
  settings: AgentSettings,
  chain: Chain,
  signal: AbortSignal,
  onStart: () => void,
): Promise<void> {
  // The slot is made over the replication protocol. `pulumi up` closes that when point in time is switched off, so an agent that
  // is about to be replaced cannot make the dropped slot again.
  await runReplicationClient(
    settings,
    "pg_receivewal",
    ["--create-slot", "--if-not-exists", `--slot=${SLOT}`],
    signal,
  );
  onStart();
  await runReplicationClient(
    settings,
    "pg_receivewal",
    [
      `--directory=${receivingFolder(chain)}/`,
      `--slot=${SLOT}`,
      "--synchronous",
      "--no-loop",
      `--status-interval=${STATUS_EVERY_SECONDS}`,
    ],
    signal,
  );
}
