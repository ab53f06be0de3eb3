import { engineClient } from "../../engine/client.ts";
import { type Engine, findEngine } from "../../engine/find-engine.ts";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { DATA_FOLDER } from "../../shared/database-image.ts";
import { containerName, DATABASE_USER, replicaContainerName } from "../../shared/names.ts";
import { replicaName } from "../../shared/replica-name.ts";

/** The database that is to be left, as its engine shows it. */
export interface OldDatabase {
  engine: Engine;
  /** `unknown`: its engine does not answer, so it may be serving at this moment. */
  state: "serves" | "stopped" | "unknown";
}

/** A replica, and whether it can become the database. */
export interface Candidate {
  name: string;
  engine: Engine;
  /** `promoted`: an earlier failover has made a database of it. */
  state: "follows" | "promoted" | "away";
  /** Whether the old database sends to it at this moment. */
  receives: boolean;
  /** How far it is, in bytes of the database's log; null for one that does not say. */
  position: number | null;
  /** When the last change that it has was committed. */
  upTo: string | null;
  /** Why it cannot become the database. */
  problem: string | null;
}

/** What the replica's own server says; the receiver's last word must be fresh, because a cable that is cut says nothing. */
const QUESTION = `SELECT pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0') END,
  pg_last_xact_replay_timestamp(),
  EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND last_msg_receipt_time > now() - interval '15 seconds')`;

export async function oldDatabase(engineHost: string | undefined, prefix: string): Promise<OldDatabase> {
  const engine = await findEngine(engineHost);
  if (!engine.reachable) return { engine, state: "unknown" };
  const container = engineClient(engine.host).getContainer(containerName(prefix, "database"));
  const made = await unlessMissing(container.inspect());
  const stopped = made === undefined || ["exited", "created", "dead", "stopped"].includes(made.State.Status);
  return { engine, state: stopped ? "stopped" : "serves" };
}

/** All replicas; the one that has most comes first. */
export async function candidates(hosts: readonly string[], prefix: string): Promise<Candidate[]> {
  const found = await Promise.all(hosts.map(host => candidate(host, prefix)));
  return found.sort((a, b) => rank(b) - rank(a));
}

function rank({ state, position }: Candidate): number {
  return state === "promoted" ? Number.POSITIVE_INFINITY : (position ?? -1);
}

async function candidate(host: string, prefix: string): Promise<Candidate> {
  const engine = await findEngine(host);
  const away = (problem: string): Candidate => ({
    ...{ name: replicaName(host), engine, state: "away", receives: false },
    ...{ position: null, upTo: null, problem },
  });
  if (!engine.reachable) return away(`no container engine answers at ${host}`);
  const container = engineClient(engine.host).getContainer(replicaContainerName(prefix));
  const made = await unlessMissing(container.inspect());
  if (made === undefined) return away("its container is not there");
  if (!made.State.Running || made.State.Restarting) {
    // A database on which the container does not start any more: an earlier failover was cut off.
    const promoted = (await has(container, "PG_VERSION")) && !(await has(container, "standby.signal"));
    return promoted ? { ...away(""), state: "promoted", problem: null } : away("its container does not run");
  }
  const answer = await psqlIfRunning(container, [
    "-XAtq",
    "-U",
    DATABASE_USER,
    "-d",
    "postgres",
    "-c",
    QUESTION,
  ]);
  if (answer?.code !== 0)
    return away(`its server does not answer (${answer?.stderr.trim() ?? "it does not run"})`);
  const [recovering, position, upTo, receives] = answer.stdout.trim().split("|");
  return {
    ...{ name: replicaName(host), engine, state: recovering === "t" ? "follows" : "promoted" },
    ...{
      receives: receives === "t",
      position: position ? Number(position) : null,
      upTo: upTo || null,
      problem: null,
    },
  };
}

async function has(
  container: { getArchive(options: { path: string }): Promise<unknown> },
  file: string,
): Promise<boolean> {
  const found = (await unlessMissing(container.getArchive({ path: `${DATA_FOLDER}/${file}` }))) as
    | { resume?(): void; destroy?(): void }
    | undefined;
  found?.destroy?.();
  return found !== undefined;
}
