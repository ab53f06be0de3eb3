import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { RunAs } from "../base/child-process.ts";
import { requireSpace, watchReserve } from "../base/durable-file.ts";
import { abortAtSignal } from "../base/interruption.ts";
import { TRY_AGAIN } from "../base/next-steps.ts";
import { answerWithin } from "../base/until.ts";
import { endServersIn } from "../server/processes.ts";
import { sessionOptions } from "../server/session-settings.ts";
import { lastLines, logOf, troubleIn } from "./log.ts";
import { THROWAWAY_SHOWN, type ThrowawayPlace } from "./place.ts";

/** A PostgreSQL server inside the agent's container, reached by nobody but the agent. */
export interface ThrowawayServer {
  directory: string;
  /** The agent's settings, but with this server's address and user. For `connect`, and whatever else takes them. */
  settings: AgentSettings;
  /** For psql and pg_dump: they reach this server, and have no more rights than it has. */
  client: RunAs;
  /** Aborts with a Stop when the server ends by itself, the disk is about to lose its reserve, or the command is told to stop. */
  lost: AbortSignal;
  /** What this machine lacked (disk, memory, files), by the server's own log. Null when it lacked nothing. */
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

/** How much a server takes without any data: a new cluster, and as much WAL as MODEST allows. */
const OWN_BYTES = 256 * 1024 * 1024;
const WATCH_EVERY_MS = 100;
const LOOK_AGAIN_MS = 25;
const SETTLE_MS = 500;

/** No network, nothing kept across a crash, little memory, no parallel workers: the live database must not feel it. */
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
 * Fills and starts a server in `place` and runs `work` with it. The server is stopped however `work` ends. If this process is killed,
 * the next one that takes the place stops it. Throws a Stop when there is no room for it, or it does not start.
 */
export async function runThrowawayServer<T>(
  settings: AgentSettings,
  place: ThrowawayPlace,
  plan: ServerPlan,
  work: (server: ThrowawayServer) => Promise<T>,
): Promise<T> {
  const { directory } = place;
  await requireSpace(directory, THROWAWAY_SHOWN, plan.bytes + OWN_BYTES);
  const end = new AbortController();
  const stopWatching = watch(directory, end);
  let ended: Promise<void> | null = null;
  try {
    await plan.fill(join(directory, "data"), { ...place.postgres, env: bareEnvironment() }, end.signal);
    ended = start(place, plan, end);
    await answers(directory, plan.readyWithinMs, end.signal);
    return await work({
      directory,
      settings: { ...settings, host: directory, port: 5432, user: plan.superuser, managed: null },
      client: {
        ...place.postgres,
        env: {
          ...bareEnvironment(),
          PGHOST: directory,
          PGUSER: plan.superuser,
          PGOPTIONS: sessionOptions(),
        },
      },
      lost: end.signal,
      trouble: () => troubleIn(directory),
    });
  } catch (error) {
    // The consequences of the server's end may be heard of before its cause.
    await Promise.race([ended, delay(SETTLE_MS)]);
    throw end.signal.aborted ? end.signal.reason : error;
  } finally {
    stopWatching();
    end.abort();
    await endServersIn(directory, place.postgres.uid);
  }
}

/** Resolves when the server ends. It is not in the agent's process group, so that only the agent hears Ctrl-C. */
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
    end.abort(new Stop(EXIT.failed, `The throw-away server ${why}: ${lastLines(directory)}`, TRY_AGAIN));
  return new Promise(resolve => {
    server.on("error", error => resolve(because(`could not be started (${error.message})`)));
    server.on("exit", () => resolve(because("ended by itself")));
  });
}

/** Waits until a server's postmaster.pid says that it is ready, or `standby`: that it recovers and can be read. */
async function answers(directory: string, withinMs: number, signal: AbortSignal): Promise<void> {
  const look = async () => {
    const text = await readFile(join(directory, "data", "postmaster.pid"), "utf8").catch(() => "");
    return ["ready", "standby"].includes(text.split("\n")[7]?.trim() ?? "") ? true : null;
  };
  if (await answerWithin(withinMs, look, LOOK_AGAIN_MS, signal)) return;
  throw new Stop(
    EXIT.failed,
    `The throw-away server did not answer within ${withinMs / 1000} seconds: ${lastLines(directory)}`,
    TRY_AGAIN,
  );
}

/** Ends the server when the disk is about to lose its reserve, and when the command is told to stop. */
function watch(directory: string, end: AbortController): () => void {
  const stopWatching = watchReserve(directory, THROWAWAY_SHOWN, WATCH_EVERY_MS, why => end.abort(why));
  const forgetSignals = abortAtSignal(end);
  return () => {
    stopWatching();
    forgetSignals();
  };
}

/** It has nothing of the agent's: with PGHOST and PGPASSFILE a function in the data could find the live database. */
function bareEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH };
}
