import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endPlugins, orphanedPlugins } from "../../../../toolchain/commands/orphaned-plugins.ts";
import { freePort } from "../../../support/servers/free-port.ts";

let folder: string;
let home: string;
let started: number[];
let parents: ChildProcess[];
let engine: Server | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-test-plugins-"));
  home = join(folder, "a home");
  [started, parents, engine] = [[], [], undefined];
});
afterEach(async () => {
  for (const pid of started) if (runs(pid)) process.kill(pid, "SIGKILL");
  for (const parent of parents) parent.kill("SIGKILL");
  await new Promise(resolve => (engine ? engine.close(resolve) : resolve(undefined)));
  await rm(folder, { recursive: true });
});

/** A program under a PULUMI_HOME, as the engine starts one: with the engine's address. */
async function plugin(at: string, first = ""): Promise<string> {
  const place = join(at, "plugins", "resource-command-v1.2.1");
  await mkdir(place, { recursive: true });
  const file = join(place, "pulumi-resource-command");
  await writeFile(file, `#!/bin/sh\n${first}\nwhile :; do sleep 0.1; done\n`);
  await chmod(file, 0o755);
  return file;
}

/** Starts it below a parent that ends at once, or, when `below` is given, below that program, which stays. */
async function start(file: string, args: string[], below?: string): Promise<number> {
  const note = join(folder, `pid-${started.length}`);
  const script = join(folder, `start-${started.length}.sh`);
  await writeFile(script, `"$@" & echo $! > ${note}.new && mv ${note}.new ${note}\n${below ? "wait\n" : ""}`);
  parents.push(spawn(below ?? "/bin/sh", [script, file, ...args], { stdio: "ignore" }));
  for (;;) {
    const pid = Number(await readFile(note, "utf8").catch(() => ""));
    if (pid) {
      started.push(pid);
      // The shell's copy has become the plugin.
      while (!(await readFile(`/proc/${pid}/cmdline`, "utf8")).includes(file)) await sleep(10);
      while (!below && (await parentOf(pid)) === parents.at(-1)?.pid) await sleep(10);
      return pid;
    }
    await sleep(10);
  }
}

async function parentOf(pid: number): Promise<number> {
  return Number(/^PPid:\s*(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** One that ended may still be listed, as a zombie. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("a plugin under the stack's PULUMI_HOME", () => {
  it("is ended when the pulumi that started it is gone", async () => {
    const pid = await start(await plugin(home), [`127.0.0.1:${await freePort()}`]);
    const orphans = await orphanedPlugins(home);
    expect(orphans).toEqual([{ pid, name: "command 1.2.1" }]);
    await endPlugins(orphans);
    await expect.poll(() => runs(pid)).toBe(false);
  });

  it("is ended even when it heeds no signal but the last", async () => {
    const file = await plugin(home, "trap '' TERM");
    const pid = await start(file, [`127.0.0.1:${await freePort()}`, "-logtostderr"]);
    await endPlugins(await orphanedPlugins(home));
    await expect.poll(() => runs(pid)).toBe(false);
  });

  it("stays while something listens at its engine's address", async () => {
    engine = createServer(socket => socket.end());
    await new Promise<void>(resolve => engine?.listen(0, "127.0.0.1", resolve));
    const port = (engine.address() as { port: number }).port;
    await start(await plugin(home), [`127.0.0.1:${port}`]);
    expect(await orphanedPlugins(home)).toEqual([]);
  });

  it("stays while its parent is a pulumi", async () => {
    const pulumi = join(folder, "pulumi");
    await copyFile("/bin/sh", pulumi);
    await start(await plugin(home), [`127.0.0.1:${await freePort()}`], pulumi);
    expect(await orphanedPlugins(home)).toEqual([]);
  });

  it("stays when somebody started it by hand, with no engine's address", async () => {
    await start(await plugin(home), []);
    expect(await orphanedPlugins(home)).toEqual([]);
  });
});

it("a plugin under another PULUMI_HOME stays, whatever its name begins with", async () => {
  const port = await freePort();
  await start(await plugin(`${home} too`), [`127.0.0.1:${port}`]);
  await start(await plugin(join(folder, "other", "a home")), [`127.0.0.1:${port}`]);
  expect(await orphanedPlugins(home)).toEqual([]);
  expect(await orphanedPlugins(`${folder}/a`)).toEqual([]);
});
