import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { freePort } from "./free-port.ts";

const READY_WITHIN_MS = 30_000;

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

/** Bundles the backend as the stack does: one file, in a folder with nothing beside it. */
export async function bundleBackend(): Promise<BackendBundle> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-backend-"));
  const outfile = join(folder, "server.cjs");
  await build({
    entryPoints: ["backend/server.ts"],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    outfile,
    logLevel: "error",
  });
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
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      const answer = await fetch(`${url}/health`).catch(() => undefined);
      if (answer?.status === 200) return;
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`The backend is not ready. Its output:\n${output}`);
      }
      await sleep(50);
    }
  };
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { url, process: child, output: () => output, ready, ended, stop };
}
