// A stack on the engine of another machine: a real OpenSSH server in front of a real engine.
import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, expect } from "vitest";
import { toolchainEnvironment } from "../../toolchain/machine/environment.ts";
import { serverFolder } from "../support/servers/local-server.ts";
import { sshClient, type TestSshClient } from "../support/servers/ssh-client.ts";
import { startSshd, type TestSshd } from "../support/servers/sshd.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

const PATH = process.env.PATH;

let sshd: TestSshd;
let client: TestSshClient;
let stack: TestStack;

const startStack = async () =>
  createStack(
    // As it is written in a new stack: there is no such folder on another machine.
    { backupDir: "./backups" },
    {
      DOCKER_HOST: `ssh://${sshd.user}@${sshd.host}:${sshd.port}`,
      PATH: client.pathBefore((await toolchainEnvironment()).PATH),
    },
  );

beforeAll(async () => {
  if (!SLOW) return;
  sshd = await startSshd({ shell: true });
  client = await sshClient(sshd);
  await client.trust(sshd.hostKey);
  process.env.PATH = client.pathBefore(PATH);
  stack = await startStack();
});
afterAll(async () => {
  await stack?.remove();
  await stack?.remove();
  process.env.PATH = PATH;
  await Promise.all([sshd?.stop(), client?.stop()]);
});

const budgie = async (...args: string[]) => {
  const result = await stack.budgie(args);
  expect(result.code, result.all).toBe(0);
  return result;
};
const health = async () => (await fetch(`${stack.url}/health`)).status;

// Its neighbour is test/postgres/engine-over-ssh.test.ts; this one takes two minutes.
itSlowly("comes up, keeps its backups in a volume there, and gives them out", async () => {
  await stack.up();
  await stack.requireNoChange();
  await stack.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
  await budgie("backup");
  const [{ name } = { name: "" }] = JSON.parse((await budgie("list", "--json")).stdout) as { name: string }[];
  const folder = await serverFolder("pulled");
  await budgie("pull", "latest", "--to", folder);
  expect((await readdir(folder)).sort()).toEqual(
    [name, name.replace(/sql$/, "json"), name.replace(/sql$/, "globals.sql")].sort(),
  );

  await stack.sql("DROP TABLE kept");
  await budgie("restore", `${folder}/${name}`, "--yes");
  expect(await stack.sql("SELECT count(*) FROM kept")).toBe("1000");
  expect((await budgie("status")).stdout).toContain(`${stack.prefix}-backup:/backups`);
  expect(await health()).toBe(200);

  await stack.destroy();
  await stack.up();
  await stack.requireNoChange();
  expect(await stack.sql("SELECT count(*) FROM kept")).toBe("1000");
  expect((await budgie("list")).stdout).toContain(name);
});

itSlowly(
  "gives its newest backup to another stack there, and is purged where the backups are in the volume",
  async () => {
    const other = await startStack();
    try {
      await other.up();
      await budgie("drill");
      const refreshed = await other.budgie(["refresh", "--from", stack.name, "--yes"]);
      expect(refreshed.code, refreshed.all).toBe(0);
      expect(await other.sql("SELECT count(*) FROM kept")).toBe("1000");
    } finally {
      await other.remove();
    }

    for (const args of [["stop", "backend"], ["backup"], ["drill"]]) await budgie(...args);
    await stack.destroy();
    const purged = await budgie("purge", "--yes-delete", `${stack.prefix}-postgres-data`);
    expect(purged.all).toContain(`the volume ${stack.prefix}-backups`);
    expect((await stack.pulumi("up", "--yes", "--skip-preview")).all).toContain("npx budgie accept-database");
    await budgie("restore", "latest");
    await stack.up();
    expect(await stack.sql("SELECT count(*) FROM kept")).toBe("1000");
  },
);

itSlowly("is left alone by a machine that does not know its host key", async () => {
  await client.forget();
  const refused = await stack.pulumi("up", "--yes", "--skip-preview");
  expect(refused.code).not.toBe(0);
  expect(refused.all).toContain("Host key verification failed");
  expect(refused.all).toContain(`ssh -p ${sshd.port} ${sshd.user}@${sshd.host} docker version`);
  await client.trust(sshd.hostKey);
  await stack.requireNoChange();
});
