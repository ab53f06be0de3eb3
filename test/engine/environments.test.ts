import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../support/servers/free-port.ts";
import { startPodman, type TestPodman } from "../support/servers/podman.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

const CONTAINERS = ["db", "backend", "backup", "object-store"] as const;
const VOLUMES = ["postgres-data", "object-store-data"] as const;

/** What keeps two stacks apart is the program's, not the engine's; podman.test.ts brings one up there, whole. */
const ENGINES = process.env.ENGINES === "all" ? ["Docker", "an ordinary user's Podman"] : ["Docker"];

describe.each(ENGINES)("dev and prod on one machine, on %s", engine => {
  let podman: TestPodman | undefined;
  let dev: TestStack;
  let prod: TestStack;
  let prodsDatabasePort: string;

  beforeAll(async () => {
    podman = engine === "Docker" ? undefined : await startPodman("rootless");
    prodsDatabasePort = String(await freePort());
    dev = await create({ databaseName: "budgie_dev" });
    prod = await create({ databaseName: "budgie_production", databasePort: prodsDatabasePort });
    // One after the other: Podman's storage may lose a race between containers of both (docs/podman.md).
    for (const stack of [dev, prod]) await stack.up();
    for (const [stack, ledger] of [
      [dev, "for trying out"],
      [prod, "of the household"],
    ] as const) {
      await stack.sql(`CREATE TABLE ledger AS SELECT '${ledger}' AS name`);
      await succeeds(stack, "backup");
    }
  });
  afterAll(async () => {
    await Promise.all([dev?.remove(), prod?.remove()]);
    // `remove()` leaves another user's folder behind.
    for (const stack of [dev, prod]) if (stack) await rm(stack.backupDir, { recursive: true, force: true });
    await podman?.stop();
  });

  /** As an operator has it: with an object store and scheduled backups, and up with a first one. */
  const create = async (settings: Record<string, string>) =>
    createStack(
      {
        objectStore: "local",
        backupSchedule: "0 2 * * *",
        ...settings,
        ...(podman ? { backupDir: await podman.operatorsFolder() } : {}),
      },
      podman ? { DOCKER_HOST: podman.engine.host } : {},
    );

  it("each has its own data, and a first backup that `up` has proven and names", async () => {
    for (const [stack, ledger] of [
      [dev, "for trying out"],
      [prod, "of the household"],
    ] as const) {
      expect(await stack.sql("SELECT name FROM ledger")).toBe(ledger);
      const { firstBackup, database, readme } = JSON.parse(
        (await stack.pulumi("stack", "output", "--json")).stdout,
      ) as Record<string, unknown>;
      expect(firstBackup).toMatch(/^budgie_\d{8}_\d{6}\.sql, proven .* UTC by restoring it \(tables: [1-9]/);
      const [first = ""] = String(firstBackup).split(",");
      expect((await backupsOf(stack))[0], "and no other was taken before it").toContain(first);
      expect(database).toMatchObject({ volume: `${stack.prefix}-postgres-data` });
      expect(readme).toContain(`${stack.prefix}-db`);
      await stack.requireNoChange();
    }
  });

  it.each<[string, string[][]]>([
    ["backup, verify, drill", [["backup"], ["verify", "all"], ["drill"]]],
    ["pin, prune, unpin", [["pin", "NEWEST"], ["prune"], ["unpin", "NEWEST"]]],
    [
      "restore, and back",
      [
        ["restore", "latest", "--yes"],
        ["restore", "--undo", "--yes"],
      ],
    ],
    ["psql", [["psql", "--", "-c", "CREATE TABLE more (n int); DROP TABLE more"]]],
    ["stop, start, restart", [["stop"], ["start"], ["restart", "db"]]],
  ])("%s of one leaves the other as it was", async (_, commands) => {
    const before = await everythingOf(prod);
    const newest = (await backupsOf(dev)).at(-1)?.split(" ")[0] ?? "";
    for (const command of commands)
      await succeeds(dev, ...command.map(word => (word === "NEWEST" ? newest : word)));
    expect(await everythingOf(prod)).toEqual(before);
  });

  it("a stack that would take a name, a port or the backup directory of another is refused, untouched", async () => {
    const before = [await everythingOf(dev), await everythingOf(prod)];
    const port = new URL(prod.url).port;
    const intruder = await create({});
    try {
      for (const [setting, value, message] of [
        ["backupDir", prod.backupDir, `${prod.backupDir} is that of the stack ${prod.name} (${prod.prefix})`],
        ["databasePort", prodsDatabasePort, `is taken by the container ${prod.prefix}-db.`],
        ["httpPort", port, `is taken by the container ${prod.prefix}-backend.`],
        ["namePrefix", prod.prefix, `The name prefix ${prod.prefix} belongs to the stack ${prod.name}`],
      ] as const) {
        await intruder.set(setting, value);
        const { code, all } = await intruder.pulumi("up", "--yes", "--skip-preview");
        expect(code, all).not.toBe(0);
        expect(all).toContain(message);
        expect(all).toContain(`npm run pulumi -- config set budgie:${setting} `);
      }
      const label = [`budgie.stack=${intruder.name}`];
      expect(await intruder.docker.listContainers({ all: true, filters: { label } })).toEqual([]);
    } finally {
      await intruder.remove();
    }
    expect([await everythingOf(dev), await everythingOf(prod)]).toEqual(before);
  });

  it("dev's volume copied over prod's, which once lost Budgie's data: `up` and status say so, and lead back to it", async () => {
    await prod.destroy();
    await copyVolume(`${dev.prefix}-postgres-data`, `${prod.prefix}-postgres-data`);
    await followTheMessagesBack();
    await prod.requireNoChange();
  });

  /** From an `up` that finds dev's data in prod's volume back to prod's own data, by what each message says to type. */
  async function followTheMessagesBack(): Promise<void> {
    const first = await prod.pulumi("up", "--yes", "--skip-preview");
    expect(first.code, first.all).not.toBe(0);
    expect(first.all).toContain(
      "does not hold budgie_production, this stack's database. It holds budgie_dev",
    );
    expect(first.all).toContain(
      `npx budgie --stack ${prod.prefix} psql -- -d postgres -c 'CREATE DATABASE budgie_production'`,
    );
    await succeeds(prod, "psql", "--", "-d", "postgres", "-c", "CREATE DATABASE budgie_production");

    const second = await prod.pulumi("up", "--yes", "--skip-preview");
    expect(second.code, second.all).not.toBe(0);
    expect(second.all).toContain("is another one");
    expect(second.all).toContain("`npx budgie restore latest`");
    const red = await prod.budgie(["status"]);
    expect(red.code, red.all).toBe(10);
    expect(red.all).toContain("is another one");
    const third = await prod.pulumi("up", "--yes", "--skip-preview");
    expect(third.code, third.all).not.toBe(0);
    expect(third.all, "also when nothing would change").toContain("Nothing was changed.");
    // As in the message: there is no API yet that could be restarted.
    await succeeds(prod, "restore", "latest");
    expect(await prod.sql("SELECT name FROM ledger")).toBe("of the household");
    await prod.up();
    await succeeds(prod, "status");
  }

  itSlowly("destroy of one leaves the other as it was", async () => {
    const before = await everythingOf(prod);
    await dev.destroy();
    expect(await everythingOf(prod)).toEqual(before);
    await dev.up();
    expect(await dev.sql("SELECT name FROM ledger")).toBe("for trying out");
    expect(await everythingOf(prod)).toEqual(before);
  });

  async function copyVolume(from: string, to: string): Promise<void> {
    const { docker } = prod;
    const { Image: image } = await docker.getContainer(`${dev.prefix}-db`).inspect();
    await succeeds(dev, "stop", "db");
    const copying = await docker.createContainer({
      Image: image,
      User: "root",
      Entrypoint: ["sh", "-c", "rm -rf /to/* && cp -a /from/. /to/"],
      HostConfig: { Binds: [`${from}:/from`, `${to}:/to`] },
    });
    try {
      await copying.start();
      expect(await copying.wait()).toMatchObject({ StatusCode: 0 });
    } finally {
      await copying.remove();
    }
    await succeeds(dev, "start");
  }
});

async function succeeds(stack: TestStack, ...args: string[]): Promise<void> {
  const { code, all } = await stack.budgie(args);
  expect(code, `budgie ${args.join(" ")}: ${all}`).toBe(0);
}

/** `NAME SHA256`, oldest first. */
async function backupsOf({ backupDir }: TestStack): Promise<string[]> {
  const names = (await readdir(backupDir)).filter(name => /^budgie_\d+_\d+\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async name => {
      const hash = createHash("sha256").update(await readFile(join(backupDir, name)));
      return `${name} ${hash.digest("hex")}`;
    }),
  );
}

/** What another stack's command must not change: running containers, volumes, network, backups, rows. */
async function everythingOf(stack: TestStack) {
  const { docker, prefix } = stack;
  const containers = await Promise.all(
    CONTAINERS.map(async name => {
      const { Id: id, State: state, RestartCount } = await docker.getContainer(`${prefix}-${name}`).inspect();
      return { id, startedAt: state.StartedAt, status: state.Status, RestartCount };
    }),
  );
  const volumes = await Promise.all(VOLUMES.map(name => docker.getVolume(`${prefix}-${name}`).inspect()));
  return {
    containers,
    volumes,
    network: (await docker.getNetwork(`${prefix}-network`).inspect()).Id,
    backups: await backupsOf(stack),
    identity: await readFile(join(stack.backupDir, `.database-identity-${stack.name}.json`), "utf8"),
    ledger: await stack.sql("SELECT name FROM ledger"),
  };
}
