#!/usr/bin/env node
// node toolchain/run.mjs COMMAND ...ARGUMENTS
// Plain JavaScript without a dependency: it must run on a fresh clone, where there is no node_modules yet.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const commands = [
  "up",
  "setup",
  "recover",
  "recover-state",
  "test",
  "pulumi",
  "shell-env",
  "bench",
  "preview-comment",
  "pin-images",
  "settings",
];

/** The first Node that runs all of it; those that still get security fixes begin later. */
const OLDEST_NODE = [20, 11];
const SUPPORTED_NODE = 22;

const [command, ...args] = process.argv.slice(2);
requireNode();
if (!commands.includes(command)) {
  fail(`There is no command "${command ?? ""}". Use one of: ${commands.join(", ")}.`);
}
if (!packagesAreCurrent()) await installPackages();
runCommand();

function fail(message) {
  process.stderr.write(`[✗] ${message}\n`);
  process.exit(1);
}

function requireNode() {
  const { node } = process.versions;
  const [major, minor] = node.split(".").map(Number);
  const newer = `Node 24 comes from https://nodejs.org, or from npm: npx -y node@24 toolchain/run.mjs ${command ?? "up"}`;
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    fail(`Node 22 or 24 is needed, and this is ${node}. ${newer}`);
  }
  if (major < SUPPORTED_NODE && command === "up") {
    process.stderr.write(`[!] Node ${node} gets no security fixes any more. ${newer}\n`);
  }
}

/** Whether node_modules holds exactly what package-lock.json asks for, going by the record that npm keeps of it. */
function packagesAreCurrent() {
  const wanted = packagesOf("package-lock.json");
  const installed = packagesOf("node_modules/.package-lock.json");
  if (!wanted || !installed) return false;
  const missing = Object.entries(wanted).some(([path, entry]) => {
    if (path === "") return false;
    const found = installed[path];
    return found ? found.version !== entry.version || found.integrity !== entry.integrity : !entry.optional;
  });
  return !missing && Object.keys(installed).every(path => path in wanted);
}

function packagesOf(lockFile) {
  try {
    return JSON.parse(readFileSync(join(project, lockFile), "utf8")).packages;
  } catch {
    return undefined;
  }
}

async function installPackages() {
  const release = await takeInstallLock();
  try {
    if (packagesAreCurrent()) return;
    process.stderr.write("[i] Installing the npm packages...\n");
    const started = Date.now();
    // No package here needs its install script; without them nothing is downloaded behind npm's back.
    const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: project,
      stdio: ["ignore", process.stderr, process.stderr],
    });
    if (npm.error)
      fail(`npm could not be started (${npm.error.message}). Install npm, which comes with Node.`);
    if (npm.status !== 0) {
      release();
      fail(`"npm ci" failed, see above. Put that right and run the same command again.`);
    }
    process.stderr.write(`[✓] npm packages installed (${Math.round((Date.now() - started) / 1000)} s)\n`);
  } finally {
    release();
  }
}

/**
 * One installation at a time. The lock is a file that holds its owner's process id and appears whole, by link; one whose
 * owner is gone is moved aside, which only one process can do.
 */
async function takeInstallLock() {
  const folder = join(project, ".build");
  const lock = join(folder, "npm-ci.lock");
  const own = `${lock}.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(own, String(process.pid));
  const deadline = Date.now() + 15 * 60_000;
  let told = false;
  for (;;) {
    try {
      linkSync(own, lock);
      rmSync(own);
      const release = () => rmSync(lock, { force: true });
      process.once("exit", release);
      return release;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const owner = readOwner(lock);
    if (owner !== undefined && !isAlive(owner)) {
      try {
        renameSync(lock, `${own}.stale`);
        rmSync(`${own}.stale`);
      } catch {
        // Another process was faster.
      }
      continue;
    }
    if (!told) process.stderr.write("[i] Waiting for another installation of the npm packages...\n");
    told = true;
    if (Date.now() > deadline) {
      rmSync(own, { force: true });
      fail(`Process ${owner} has been installing npm packages for 15 minutes. Stop it, or remove ${lock}.`);
    }
    await new Promise(resolve => setTimeout(resolve, 300));
  }
}

function readOwner(lock) {
  try {
    return Number(readFileSync(lock, "utf8"));
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function runCommand() {
  const script = join(project, "toolchain", "commands", `${command}.ts`);
  if (!existsSync(script)) fail(`${script} is missing: this is not a whole copy of the project.`);
  const program = join(project, "toolchain", "program.mjs");
  const child = spawn(process.execPath, [program, command, ...args], { stdio: "inherit" });
  // A terminal sends Ctrl-C to the child as well, and a second one would make Pulumi stop at once.
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY;
  process.on("SIGINT", () => onTerminal || child.kill("SIGINT"));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", error => fail(`Node could not be started: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
