import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import type { Migration } from "../../backend/migrations.ts";
import { freePort } from "./servers/free-port.ts";
import { until } from "./until.ts";

export interface BackendBundle {
  /** Starts the bundled backend on a free port; `environment` is all it sees. */
  start(environment: Record<string, string>): Promise<TestBackend>;
  /** Ends every backend that still runs and removes the bundle. */
  remove(): Promise<void>;
}

export interface TestBackend {
  url: string;
  process: ChildProcess;
  /** Everything written to stdout and stderr so far. */
  output(): string;
  /** Waits until GET /health answers 200; throws after 30 s or when the process ends. */
  ready(): Promise<void>;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
  /** Asks it to close with SIGTERM and gives the exit code. */
  stop(): Promise<number | null>;
}

/** Writes the backend's bundle, as the stack does: one file. `migrations` come behind its own, as in a later version. */
export async function writeBackend(outfile: string, migrations: readonly Migration[] = []): Promise<void> {
  await build({
    entryPoints: ["backend/server.ts"],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    outfile,
    logLevel: "error",
    plugins: [laterVersion(migrations)],
  });
}

function laterVersion(migrations: readonly Migration[]): Plugin {
  const last = "ledgersAndTransactions]";
  return {
    name: "later version",
    setup: ({ onLoad }) =>
      onLoad({ filter: /backend\/migrations\.ts$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        if (!text.includes(last)) throw new Error(`${path} does not list its migrations as expected`);
        const more = migrations.map(migration => `, ${JSON.stringify(migration)}`).join("");
        return { loader: "ts", contents: text.replace(last, `ledgersAndTransactions${more}]`) };
      }),
  };
}

/** Bundles the backend as the stack does: one file, in a folder with nothing beside it. */
export async function bundleBackend(migrations: readonly Migration[] = []): Promise<BackendBundle> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-backend-"));
  const outfile = join(folder, "server.cjs");
  await writeBackend(outfile, migrations);
  const started: TestBackend[] = [];
  return {
    async start(environment) {
      const backend = run(outfile, { ...environment, PORT: String(await freePort()) });
      started.push(backend);
      return backend;
    },
    async remove() {
      for (const backend of started) backend.process.kill("SIGKILL");
      await Promise.all(started.map(backend => backend.ended));
      await rm(folder, { recursive: true });
    },
  };
}

function run(file: string, environment: Record<string, string>): TestBackend {
  const url = `http://127.0.0.1:${environment.PORT}`;
  const child = spawn(process.execPath, [file], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk.toString("utf8");
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const ended = once(child, "close").then(([code]) => code as number | null);

  const ready = async () => {
    const health = async () => {
      if (child.exitCode !== null) throw new Error(`The backend has ended. Its output:\n${output}`);
      return (await fetch(`${url}/health`).catch(() => undefined))?.status;
    };
    await until("the backend ready", health, status => status === 200, { log: () => output });
  };
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { url, process: child, output: () => output, ready, ended, stop };
}
