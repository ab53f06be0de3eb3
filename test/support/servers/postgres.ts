import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import Docker from "dockerode";
import pg from "pg";
import { containerLog } from "../../../engine/container-log.ts";
import { until } from "../until.ts";
import { freePort } from "./free-port.ts";
import { TEST_IMAGE, TEST_VARIABLES } from "./major.ts";

const READY_WITHIN_MS = 60_000;
const REMOVER = fileURLToPath(new URL("./remove-container-when-parent-ends.mjs", import.meta.url));

export interface TestPostgres {
  host: string;
  /** Stays the same when the container is stopped and started again. */
  port: number;
  user: string;
  password: string;
  container: Docker.Container;
  /** A connection URL; the database is `postgres` unless named. */
  url(database?: string): string;
  /** Waits until a query over TCP succeeds; throws after 60 s. For use after `container.restart()` or `.start()`. */
  ready(): Promise<void>;
  /** What the server logged until now. */
  log(): Promise<string>;
  /** Removes the container and its data. */
  stop(): Promise<void>;
}

/**
 * Runs a throw-away PostgreSQL server on a free port of 127.0.0.1 and waits until it answers a query.
 * The container may be stopped, paused, killed and started again: its data stays until `stop()`, or until this process ends.
 * @param options.image defaults to what major.ts says
 * @param options.labels by which the operator's commands find it
 * @param options.env added to, or replacing, POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB
 */
export async function startPostgres(
  options: { image?: string; env?: Record<string, string>; labels?: Record<string, string> } = {},
): Promise<TestPostgres> {
  const docker = new Docker();
  const env = {
    POSTGRES_USER: "budgie_user",
    POSTGRES_PASSWORD: randomBytes(12).toString("hex"),
    POSTGRES_DB: "postgres",
    ...options.env,
  };
  const host = "127.0.0.1";
  const port = await freePort();
  const container = await docker.createContainer({
    Image: options.image ?? TEST_IMAGE,
    Env: [...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...TEST_VARIABLES],
    Labels: { "budgie.test": "true", ...options.labels },
    ExposedPorts: { "5432/tcp": {} },
    // As much shared memory as the stack gives its own: an engine's default is too little to vacuum or index a large table.
    HostConfig: {
      ShmSize: 256 << 20,
      PortBindings: { "5432/tcp": [{ HostIp: host, HostPort: String(port) }] },
    },
  });
  const release = removeWhenThisProcessEnds(container.id);

  const url = (database = "postgres") =>
    `postgres://${encodeURIComponent(env.POSTGRES_USER)}:${encodeURIComponent(env.POSTGRES_PASSWORD)}@${host}:${port}/${encodeURIComponent(database)}`;
  const stop = async () => {
    await container.remove({ force: true, v: true }).catch(ignoreMissing);
    release();
  };
  const ready = () => waitForQuery(url(env.POSTGRES_DB), container);

  try {
    await container.start();
    await ready();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    host,
    port,
    user: env.POSTGRES_USER,
    password: env.POSTGRES_PASSWORD,
    container,
    url,
    ready,
    log: () => containerLog(container),
    stop,
  };
}

async function waitForQuery(url: string, container: Docker.Container): Promise<void> {
  const log = async () => `Its last lines:\n${await containerLog(container, { tail: 20 })}`;
  const failure = async () => {
    const found = await tryQuery(url);
    if (found === undefined) return undefined;
    const { State: state } = await container.inspect();
    if (!state.Running) throw new Error(`The test PostgreSQL ended by itself: ${found}\n${await log()}`);
    return found;
  };
  await until("an answer of the test PostgreSQL", failure, found => found === undefined, {
    withinMs: READY_WITHIN_MS,
    everyMs: 100,
    log,
  });
}

async function tryQuery(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000, query_timeout: 2000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await client.end().catch(() => {});
  }
}

function removeWhenThisProcessEnds(id: string): () => void {
  const remover = spawn(process.execPath, [REMOVER, id], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  remover.unref();
  const input = remover.stdin as typeof remover.stdin & { unref(): void };
  input.on("error", () => {});
  input.unref();
  return () => input.end();
}

function ignoreMissing(error: { statusCode?: number }): void {
  if (error.statusCode !== 404) throw error;
}
