import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { confirm } from "@inquirer/prompts";
import { execa } from "execa";
import { parse } from "yaml";
import { type Engine, findEngine } from "../../engine/find-engine.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { exclusively, logFolder } from "./cache.ts";
import { STACK } from "./local-state.ts";
import { runLogged, tail } from "./run-tool.ts";
import { say, step, ToolchainError } from "./say.ts";

export interface RunningEngine extends Engine {
  /** Whether the Docker provider needs DOCKER_HOST to find it. */
  isDefault: boolean;
}

const DEFAULT_HOST = "unix:///var/run/docker.sock";
const START_DEADLINE_MS = 90_000;

/**
 * The container engine, running: found as the stack finds it, else started, else (on Debian and Ubuntu, as root)
 * installed. Throws with what to install or start when it can do neither.
 */
export async function containerEngine(): Promise<RunningEngine> {
  const setting = await engineSetting();
  const found = await find(setting);
  if (found.reachable) return found;
  if (setting)
    throw silent(
      found,
      "the setting budgie:engineHost names",
      "npm run pulumi -- config rm budgie:engineHost",
    );
  if (process.env.DOCKER_HOST) throw silent(found, "DOCKER_HOST names", "unset DOCKER_HOST");
  if (!found.host.startsWith("unix://")) {
    throw silent(found, "the current docker context names", "docker context use default");
  }
  return exclusively("container-engine", async () => {
    const meanwhile = await find();
    if (meanwhile.reachable) return meanwhile;
    if (!(await installed("dockerd")) && !(await installed("podman"))) await installDocker(found);
    return start(found);
  });
}

async function find(setting?: string): Promise<RunningEngine> {
  const engine = await findEngine(setting);
  return { ...engine, isDefault: engine.host === DEFAULT_HOST };
}

function silent(engine: Engine, named: string, wayOut: string): ToolchainError {
  return new ToolchainError(
    `The container engine that ${named} does not answer: ${engine.host} (${engine.problem}).\n` +
      `Start it, or do without: ${wayOut}`,
  );
}

/** The engine that the stack's own settings name. */
async function engineSetting(): Promise<string | undefined> {
  const text = await readFile(join(PROJECT_FOLDER, `Pulumi.${STACK}.yaml`), "utf8").catch(() => "");
  const settings = parse(text) as { config?: Record<string, unknown> } | null;
  const host = settings?.config?.["budgie:engineHost"];
  return typeof host === "string" && host !== "" ? host : undefined;
}

async function start(found: Engine): Promise<RunningEngine> {
  const asRoot = process.getuid?.() === 0;
  if (await installed("dockerd")) {
    if (!asRoot) {
      throw new ToolchainError(
        `Docker is installed, but this user cannot use it: ${found.host} (${found.problem}). ` +
          "Start it (sudo systemctl start docker) and join its group (sudo usermod -aG docker $USER, then log in again).",
      );
    }
    return step("Starting Docker", startDocker);
  }
  return step("Starting Podman's API", () => startPodman(asRoot));
}

async function startDocker(): Promise<RunningEngine> {
  if (existsSync("/run/systemd/system")) {
    await runLogged("systemctl-docker", "systemctl", ["start", "docker"]);
    return untilItAnswers(join(logFolder, "systemctl-docker.log"));
  }
  const { log, exit } = await startDetached("dockerd", []);
  return untilItAnswers(log, exit);
}

async function startPodman(asRoot: boolean): Promise<RunningEngine> {
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (!asRoot && !runtime) {
    throw new ToolchainError(
      "Podman is installed, but XDG_RUNTIME_DIR is not set, so there is no place for its socket. " +
        "Log in as this user directly (not through su), or set it to a folder that only this user can read.",
    );
  }
  const socket = asRoot ? "/run/podman/podman.sock" : join(runtime ?? "", "podman", "podman.sock");
  if (existsSync("/run/systemd/system")) {
    const scope = asRoot ? [] : ["--user"];
    await runLogged("systemctl-podman", "systemctl", [...scope, "start", "podman.socket"]);
    return untilItAnswers(join(logFolder, "systemctl-podman.log"));
  }
  await mkdir(join(socket, ".."), { recursive: true, mode: 0o700 });
  const { log, exit } = await startDetached("podman", ["system", "service", "--time=0", `unix://${socket}`]);
  return untilItAnswers(log, exit);
}

/** Starts a server that outlives this process, with its output in the cache folder. */
async function startDetached(
  file: string,
  args: string[],
): Promise<{ log: string; exit: { code?: number } }> {
  await mkdir(logFolder, { recursive: true });
  const log = join(logFolder, `${file}.log`);
  const output = openSync(log, "a");
  const child = spawn(file, args, { detached: true, stdio: ["ignore", output, output], cwd: "/" });
  const exit: { code?: number } = {};
  child.on("error", () => Object.assign(exit, { code: 127 }));
  child.on("exit", code => Object.assign(exit, { code: code ?? 1 }));
  child.unref();
  return { log, exit };
}

async function untilItAnswers(log: string, exit: { code?: number } = {}): Promise<RunningEngine> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const engine = await find();
    if (engine.reachable) return engine;
    if (exit.code !== undefined || Date.now() > deadline) {
      const why =
        exit.code === undefined ? `did not answer in ${START_DEADLINE_MS / 1000} s` : "ended at once";
      throw new ToolchainError(
        `The container engine was started but ${why}. The end of ${log}:\n${await tail(log)}`,
      );
    }
    await pause(200);
  }
}

async function installDocker(found: Engine): Promise<void> {
  const packages = ["docker.io", "containerd", "runc", "iptables"];
  if (!(await isDebian()) || process.getuid?.() !== 0) {
    throw new ToolchainError(
      `There is no container engine: ${found.host} (${found.problem}). Install Docker ` +
        "(https://docs.docker.com/engine/install/) or Podman, start it, and run the same command again" +
        ((await isDebian()) ? `: sudo apt-get install ${packages.join(" ")}` : "."),
    );
  }
  const question = `There is no container engine. Install Docker with apt-get (${packages.join(", ")})?`;
  if (process.stdin.isTTY && process.stderr.isTTY) {
    if (!(await confirm({ message: question }, { output: process.stderr }))) {
      throw new ToolchainError(
        "Not installed. Install Docker or Podman yourself and run the same command again.",
      );
    }
  } else {
    say(`There is no container engine: installing Docker with apt-get (${packages.join(", ")}).`);
  }
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await step("Installing Docker", async () => {
    await runLogged("apt-get-update", "apt-get", ["update"], { env });
    await runLogged("apt-get-install", "apt-get", ["install", "-y", "--no-install-recommends", ...packages], {
      env,
    });
  });
}

/** Debian, Ubuntu and their relatives. */
export async function isDebian(): Promise<boolean> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release) && installed("apt-get");
}

/** Whether a program is on PATH. */
export async function installed(program: string): Promise<boolean> {
  const result = await execa("/bin/sh", ["-c", 'command -v "$1"', "sh", program], { reject: false });
  return result.exitCode === 0;
}
