import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { RunAs } from "./child-process.ts";
import { freeBytes, RESERVED_BYTES, requireSpace } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { humanSize } from "./reporter.ts";
import { lastLines, logOf, troubleIn } from "./server-log.ts";
import { endServersIn } from "./server-processes.ts";
import type { AgentSettings } from "./settings.ts";
import type { ThrowawayPlace } from "./throwaway-place.ts";

/** A PostgreSQL server inside the agent's container, reached by nobody but the agent. */
export interface ThrowawayServer {
  directory: string;
  /** For `connect` and whatever else takes the agent's settings: the same ones, but this server's. */
  settings: AgentSettings;
  /** For psql and pg_dump: this server, and no more rights than it has itself. */
  client: RunAs;
  /** Aborts with a Stop when the server ends by itself, the disk is about to lose its reserve, or the command is told to stop. */
  lost: AbortSignal;
  /** What this machine lacked (disk, memory, files), by the server's own log; null when it lacked nothing. */
  trouble(): Promise<string | null>;
}

export interface ServerPlan {
  /** As whom the agent connects. */
  superuser: string;
  /** The most that its data will take on disk, roughly. */
  bytes: number;
  /** Makes the data directory, as PostgreSQL's own user. Stops when `signal` aborts. */
  fill(dataDirectory: string, runAs: RunAs, signal: AbortSignal): Promise<void>;
  /** Server settings beside, or instead of, those of every throw-away server. */
  parameters: Record<string, string>;
  /** How long it may take from its start until it answers. */
  readyWithinMs: number;
}

/** What a server takes before there is any data: a new cluster, and as much WAL as MODEST allows. */
const OWN_BYTES = 256 * 1024 * 1024;
const WATCH_EVERY_MS = 100;
const LOOK_AGAIN_MS = 25;
const SETTLE_MS = 500;
const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** No network, nothing kept across a crash, little memory, no parallel workers: it must not be felt by the live database. */
const MODEST = {
  listen_addresses: "",
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_wal_size: "128MB",
  min_wal_size: "32MB",
  checkpoint_timeout: "1h",
  shared_buffers: "64MB",
  maintenance_work_mem: "64MB",
  // A container's /dev/shm is small.
  dynamic_shared_memory_type: "mmap",
  max_connections: "20",
  // pg_dump locks every table at once.
  max_locks_per_transaction: "1024",
  max_worker_processes: "0",
  max_logical_replication_workers: "0",
  autovacuum: "off",
  jit: "off",
  restart_after_crash: "off",
  lc_messages: "C",
  // Errors without the row they are about: the ledger's data belongs in no log.
  log_line_prefix: "%e ",
  log_min_messages: "error",
  log_error_verbosity: "terse",
  log_min_error_statement: "panic",
};

/**
 * Fills and starts a server in `place` and runs `work` with it. It is stopped however `work` ends, and when this process is
 * killed, by the next one that takes the place. Throws a Stop when there is no room for it, or it does not start.
 */
export async function runThrowawayServer<T>(
  settings: AgentSettings,
  place: ThrowawayPlace,
  plan: ServerPlan,
  work: (server: ThrowawayServer) => Promise<T>,
): Promise<T> {
  const { directory } = place;
  await requireSpace(directory, "the backup agent's container", plan.bytes + OWN_BYTES);
  const end = new AbortController();
  const stopWatching = watch(directory, end);
  let ended: Promise<void> | null = null;
  try {
    await plan.fill(join(directory, "data"), { ...place.postgres, env: bareEnvironment() }, end.signal);
    ended = start(place, plan, end);
    await answers(directory, plan.readyWithinMs, end.signal);
    return await work({
      directory,
      settings: { ...settings, host: directory, port: 5432, user: plan.superuser },
      client: { ...place.postgres, env: { ...bareEnvironment(), PGHOST: directory, PGUSER: plan.superuser } },
      lost: end.signal,
      trouble: () => troubleIn(directory),
    });
  } catch (error) {
    // What follows from the server's end is not why it ended, and may be heard of first.
    await Promise.race([ended, delay(SETTLE_MS)]);
    throw end.signal.aborted ? end.signal.reason : error;
  } finally {
    stopWatching();
    end.abort();
    await endServersIn(directory, place.postgres.uid);
  }
}

/** Resolves when the server ends. Not in the agent's process group, so that Ctrl-C is heard by the agent alone. */
function start(
  { directory, postgres }: ThrowawayPlace,
  plan: ServerPlan,
  end: AbortController,
): Promise<void> {
  const parameters = { ...MODEST, unix_socket_directories: directory, ...plan.parameters };
  const log = openSync(logOf(directory), "a", 0o600);
  const server = spawn(
    "postgres",
    [
      ...["-D", join(directory, "data")],
      ...Object.entries(parameters).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    { ...postgres, env: bareEnvironment(), stdio: ["ignore", log, log], detached: true },
  );
  closeSync(log);
  const because = (why: string) =>
    end.abort(new Stop(EXIT.failed, `The throw-away server ${why}: ${lastLines(directory)}`));
  return new Promise(resolve => {
    server.on("error", error => resolve(because(`could not be started (${error.message})`)));
    server.on("exit", () => resolve(because("ended by itself")));
  });
}

/** A server says of itself in its postmaster.pid whether it is ready, and `standby` while it recovers and can be read. */
async function answers(directory: string, withinMs: number, signal: AbortSignal): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    signal.throwIfAborted();
    const text = await readFile(join(directory, "data", "postmaster.pid"), "utf8").catch(() => "");
    if (["ready", "standby"].includes(text.split("\n")[7]?.trim() ?? "")) return;
    if (Date.now() > giveUpAt) {
      throw new Stop(
        EXIT.failed,
        `The throw-away server did not answer within ${withinMs / 1000} seconds: ${lastLines(directory)}`,
      );
    }
    await delay(LOOK_AGAIN_MS);
  }
}

/** The live database may be on the same disk, and PostgreSQL stops when its WAL cannot grow. Unknown is as bad as full. */
function watch(directory: string, end: AbortController): () => void {
  const timer = setInterval(async () => {
    const free = await freeBytes(directory).catch(() => 0);
    if (free >= RESERVED_BYTES) return;
    end.abort(
      new Stop(
        EXIT.noSpace,
        `Stopped because only ${humanSize(free)} are left on the disk of the backup agent's container, and ${humanSize(RESERVED_BYTES)} stay free for the database.`,
        "Free some space there, then run the same command again.",
      ),
    );
  }, WATCH_EVERY_MS);
  const interrupted = (signal: NodeJS.Signals) =>
    end.abort(
      new Stop(EXIT.failed, `Stopped by ${signal}, before it was done.`, "Run the same command again."),
    );
  for (const signal of END_SIGNALS) process.once(signal, interrupted);
  return () => {
    clearInterval(timer);
    for (const signal of END_SIGNALS) process.off(signal, interrupted);
  };
}

/** Nothing of the agent's: by PGHOST and PGPASSFILE a function in the data could find the live database. */
function bareEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH };
}
