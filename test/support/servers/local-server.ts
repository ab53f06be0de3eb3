import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { engineClient } from "../../../engine/client.ts";
import { findEngine } from "../../../engine/find-engine.ts";
import { until } from "../until.ts";

const READY_WITHIN_MS = 60_000;
const RUNNER = fileURLToPath(new URL("./run-while-parent-lives.mjs", import.meta.url));

/** A server process on this machine that ends with the test process, even when that is killed with -9. */
export interface LocalServer {
  /** Starts it, or starts it again after `kill()`, and waits until it is ready. Throws its last lines after 60 s. */
  start(): Promise<void>;
  /** Ends it as kill -9 does. Its folder stays. */
  kill(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** A new folder for a server's data; `stop()` removes it. */
export function serverFolder(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `budgie-test-${name}-`));
}

/**
 * @param command.folder made by `serverFolder`; also holds the log
 * @param command.ready asked until it is true; a rejection counts as false
 */
export function localServer(command: {
  name: string;
  folder: string;
  file: string;
  args: string[];
  env?: Record<string, string>;
  ready: () => Promise<boolean>;
}): LocalServer {
  const log = join(command.folder, "server.log");
  let runner: ChildProcess | undefined;

  const end = async (lastWord: string) => {
    const ending = runner;
    runner = undefined;
    if (!ending || ending.exitCode !== null) return;
    ending.ref();
    const ended = new Promise(resolve => ending.once("exit", resolve));
    ending.stdin?.end(lastWord);
    await ended;
  };
  return {
    start: async () => {
      runner = spawn(process.execPath, [RUNNER, command.folder, log, command.file, ...command.args], {
        env: { ...process.env, ...command.env },
        stdio: ["pipe", "ignore", "ignore"],
        detached: true,
      });
      runner.stdin?.on("error", () => {});
      runner.unref();
      (runner.stdin as unknown as { unref(): void }).unref();
      const problem = await notReady(runner, command.ready);
      if (!problem) return;
      const lines = (await readFile(log, "utf8").catch(() => "")).trimEnd().split("\n").slice(-20);
      await end("keep");
      throw new Error(
        `The test server ${command.name} is not ready. ${problem}\nIts last lines:\n${lines.join("\n")}`,
      );
    },
    kill: () => end("keep"),
    stop: async () => {
      await end("");
      await rm(command.folder, { recursive: true, force: true });
    },
  };
}

async function notReady(runner: ChildProcess, ready: () => Promise<boolean>): Promise<string | undefined> {
  const isReady = async () => {
    if (await ready().catch(() => false)) return true;
    if (runner.exitCode !== null) throw new Error(`It ended by itself with exit code ${runner.exitCode}.`);
    return false;
  };
  const waiting = until("it ready", isReady, Boolean, { withinMs: READY_WITHIN_MS });
  return waiting.then(
    () => undefined,
    (error: Error) => error.message,
  );
}

/**
 * An address of this machine that processes here and containers of any network can reach: on Docker's default network. A daemon that was
 * not restarted yet does not report the gateway, which is then the subnet's first address. Node's list of interfaces does not help: the
 * bridge counts as down while no container is on it. Podman's is not even there then, so with it any other address of this machine is taken.
 */
export async function addressForContainers(): Promise<string> {
  const engine = await findEngine();
  if (engine.kind === "podman") return addressOfMachine();
  const { IPAM: ipam } = await engineClient(engine.host).getNetwork("bridge").inspect();
  const { Gateway: gateway, Subnet: subnet } = ipam?.Config?.[0] ?? {};
  const address = gateway ?? subnet?.replace(/\.0\/\d+$/, ".1");
  if (!address)
    throw new Error(
      "Docker's default network says no address, so containers cannot reach a test server here: docker network inspect bridge",
    );
  return address;
}

function addressOfMachine(): string {
  const all = Object.values(networkInterfaces()).flatMap(known => known ?? []);
  const found = all.find(({ family, internal }) => family === "IPv4" && !internal);
  if (!found)
    throw new Error(
      "This machine has no address but its own loop, so containers cannot reach a test server here.",
    );
  return found.address;
}
