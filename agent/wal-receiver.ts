import { setTimeout as delay } from "node:timers/promises";
import { endReplicationClientsIn, runReplicationClient } from "./replication-client.ts";
import type { AgentSettings } from "./settings.ts";
import { type Chain, receivingFolder } from "./wal-chain.ts";
import { SLOT } from "./wal-server.ts";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** Who has run for so long starts again at once. */
const STEADY_MS = 60_000;
const STATUS_EVERY_SECONDS = 5;

export interface WalReceiver {
  /** Why it does not run; null while it does. */
  trouble(): string | null;
  /** Ends it, and resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * Keeps pg_receivewal writing the server's WAL into a chain. Each piece is on disk before the server hears that it came, and the
 * server keeps in the slot what it has not heard of: so at any kill, on either side, it goes on where it was.
 */
export function startWalReceiver(settings: AgentSettings, chain: Chain): WalReceiver {
  const ends = new AbortController();
  let trouble: string | null = null;
  const running = (async () => {
    for (let pause = FIRST_PAUSE_MS; !ends.signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const startedAt = Date.now();
      try {
        await endReplicationClientsIn(receivingFolder(chain));
        await receive(settings, chain, ends.signal, () => {
          trouble = null;
        });
        trouble = "it ended by itself";
      } catch (error) {
        trouble = (error as Error).message;
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
  // Over the replication protocol, which `pulumi up` closes when point in time is switched off: an agent that is about to be
  // replaced can then not make anew the slot that was dropped.
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
