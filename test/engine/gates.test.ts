import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { THROWAWAY_HOME } from "../../agent/throwaway/place.ts";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { type EngineSocket, startEngineSocket } from "../support/faults/engine-socket.ts";
import { itSlowly } from "../support/slow-lane.ts";
import {
  DATABASE,
  type EngineEvent,
  expectBackupBeforeDatabase,
  GATE,
  positionOf,
  stepsOf,
  withEvents,
} from "../support/stack/engine-events.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const UP = ["up", "--yes", "--skip-preview"];
const DESTROY = ["destroy", "--yes", "--skip-preview"];

let stack: TestStack;
let engine: EngineSocket;
let backupDir: string;
/** Directly, not through the socket that the stack uses. */
let docker: Docker;

const urn = (types: string, name: string) => `urn:pulumi:${stack.name}::budgie::${types}::${name}`;
const replaceDatabase = () => [
  ...UP,
  "--replace",
  urn("budgie:stack:Database$docker:index/container:Container", DATABASE),
];
const container = (service: string) => docker.getContainer(`${stack.prefix}-${service}`);

const manifests = async (): Promise<Manifest[]> => {
  const names = (await readdir(backupDir)).filter(name => /^budgie_.*\.json$/.test(name)).sort();
  return Promise.all(names.map(async name => JSON.parse(await readFile(join(backupDir, name), "utf8"))));
};
/** The backups that were taken during `work`. */
const backupsOf = async (work: () => Promise<unknown>): Promise<Manifest[]> => {
  const before = (await manifests()).length;
  await work();
  return (await manifests()).slice(before);
};
/** Where the agent's throw-away servers are. It has no name by which anybody would find it again. */
const throwawayVolume = async () => {
  const { Mounts: mounts } = await container("backup").inspect();
  return docker.getVolume(mounts.find(({ Destination: path }) => path === THROWAWAY_HOME)?.Name ?? "none");
};
/** What must hold for every update that the gate stopped: the engine never touched the database's container. */
const expectUntouched = async (before: string, events: readonly EngineEvent[] = []) => {
  expect(stepsOf(events, DATABASE).filter(step => step.startsWith("delete"))).toEqual([]);
  expect((await container("db").inspect()).Id).toBe(before);
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  expect((await fetch(`${stack.url}/health`)).status, "the API runs on").toBe(200);
};

beforeAll(async () => {
  const { host } = await findEngine();
  docker = engineClient(host);
  engine = await startEngineSocket(host);
  backupDir = await mkdtemp(join(tmpdir(), "budgie-test-small-disk-"));
  await execa("mount", ["-t", "tmpfs", "-o", "size=128m,mode=0700", "none", backupDir]);
  stack = await createStack({ backupDir }, { DOCKER_HOST: engine.host });
  await stack.up();
  await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
});

afterAll(async () => {
  await engine?.comeBack();
  await stack?.remove();
  await engine?.goAway();
  await execa("umount", [backupDir], { reject: false });
  await rm(backupDir, { recursive: true, force: true });
});

describe("a change of the database", () => {
  it("begins when a backup that has every row is complete, and the server is shut down, not interrupted", async () => {
    const before = await stack.containerId("db");

    const backups = await backupsOf(async () => {
      const { code, all, events } = await withEvents(stack, ...replaceDatabase());
      expect(code, all).toBe(0);
      expectBackupBeforeDatabase(events, "delete-replaced");
    });

    expect(await stack.containerId("db")).not.toBe(before);
    expect(backups.map(({ reason }) => reason)).toEqual(["before-change"]);
    expect(backups[0]?.tables).toContainEqual(expect.objectContaining({ name: "public.kept", rows: 1 }));
    expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
    const log = await stack.logs("db");
    expect(log).toContain("database system was shut down at");
    expect(log).not.toContain("interrupted");
    await stack.requireNoChange();
  });

  it("takes its backup with the agent that is there, before that is replaced too; a change of the API takes none", async () => {
    await stack.set("frontendUrl", "https://budgie.example.com");
    expect(await backupsOf(() => stack.up())).toEqual([]);

    const throwaway = await throwawayVolume();
    await stack.set("backupFormat", "sql.gz");
    const backups = await backupsOf(async () => {
      const { code, all, events } = await withEvents(stack, ...replaceDatabase());
      expect(code, all).toBe(0);
      const backup = positionOf(events, { op: "delete-replaced", resource: GATE, when: "is done" });
      for (const resource of [DATABASE, "backup-agent-container"]) {
        expect(backup).toBeLessThan(positionOf(events, { op: "delete-replaced", resource, when: "begins" }));
      }
    });

    expect(backups.map(({ reason, file }) => [reason, file.endsWith(".sql")])).toEqual([
      ["before-change", true],
    ]);
    await expect(throwaway.inspect(), "goes with its agent").rejects.toMatchObject({ statusCode: 404 });
    await (await throwawayVolume()).inspect();
    await stack.requireNoChange();
  });

  it("is refused when the backup fails, and made without one only when that is said aloud", async () => {
    const before = await stack.containerId("db");
    await holdLock();

    const withoutBackup = await backupsOf(async () => {
      for (const change of [replaceDatabase(), DESTROY]) {
        const refused = await withEvents(stack, ...change);
        expect(refused.code, refused.all).not.toBe(0);
        expect(refused.all).toContain("no backup of it could be taken");
        expect(refused.all).toContain("BUDGIE_SKIP_BACKUP=1");
        expect(stepsOf(refused.events, GATE).at(-1)).toMatch(/^delete.* failed$/);
        await expectUntouched(before, refused.events);
      }
      process.env.BUDGIE_SKIP_BACKUP = "1";
      try {
        const { code, all } = await stack.pulumi(...replaceDatabase());
        expect(code, all).toBe(0);
        expect(all).toContain("WITHOUT a backup");
      } finally {
        delete process.env.BUDGIE_SKIP_BACKUP;
      }
    });

    expect(withoutBackup).toEqual([]);
    expect(await stack.containerId("db")).not.toBe(before);
    expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  });

  itSlowly("is refused when there is no room for the backup", async () => {
    const [before, filling] = [await stack.containerId("db"), join(backupDir, "filling")];
    await writeFile(filling, Buffer.alloc(96 * 1024 * 1024));

    const withoutBackup = await backupsOf(async () => {
      for (const change of [replaceDatabase(), DESTROY]) {
        const refused = await withEvents(stack, ...change);
        expect(refused.code, refused.all).not.toBe(0);
        // `up` looks at the directory first, and `destroy` at nothing: that is the gate's.
        expect(refused.all).toMatch(/no backup of it could be taken|has no space for backups/);
        expect(refused.all).toMatch(/Not enough space|64 MB stay free for the database/);
        await expectUntouched(before, refused.events);
      }
    });

    expect(withoutBackup).toEqual([]);
    await truncate(filling);
    await rm(filling);
    expect((await readdir(backupDir)).filter(name => !/^\.|^budgie_/.test(name))).toEqual([]);
    const backups = await backupsOf(async () =>
      expect((await stack.pulumi(...replaceDatabase())).code).toBe(0),
    );
    expect(backups.map(({ reason }) => reason)).toEqual(["before-change"]);
  });
});

describe("a database that is down already is not removed without a backup", () => {
  it("when it is stopped: `npx budgie start` is the way out", async () => {
    await container("db").stop();
    const refused = await withEvents(stack, ...DESTROY);
    expect(refused.code, refused.all).not.toBe(0);
    expect(refused.all).toContain(`The container ${stack.prefix}-db is exited.`);
    expect(refused.all).toContain("npx budgie start");
    const before = await stack.containerId("db");
    expect((await stack.budgie(["start"])).code).toBe(0);
    await expectUntouched(before, refused.events);
  });

  it("when it does not stay up: its log is the way to why", async () => {
    const before = await stack.containerId("db");
    const configuration = "/var/lib/postgresql/data/postgresql.auto.conf";
    await execa("docker", ["exec", before, "sh", "-c", `echo nonsense=1 >> ${configuration}`]);
    try {
      await container("db").restart({ t: 30 });
      const restarts = async () => (await container("db").inspect()).RestartCount;
      await until("a restart of the database", restarts, count => count > 0, { everyMs: 100 });
      const refused = await withEvents(stack, ...DESTROY);
      expect(refused.code, refused.all).not.toBe(0);
      expect(refused.all).toContain("no backup of it could be taken");
      expect(refused.all).toContain("npx budgie logs db");
      expect(stepsOf(refused.events, DATABASE)).toEqual([]);
      expect((await stack.budgie(["logs", "db"])).all).toContain("nonsense");
    } finally {
      const image = ["--rm", "--volumes-from", before, "--entrypoint", "sed", "postgres:16-alpine"];
      await execa("docker", ["run", ...image, "-i", "/nonsense/d", configuration]);
      await container("db").restart({ t: 30 });
    }
    expect((await stack.budgie(["start"])).code).toBe(0);
    await expectUntouched(before);
  });

  itSlowly("when its container is gone: `pulumi up --refresh` finds the data again", async () => {
    await container("db").remove({ force: true });
    const refused = await stack.pulumi(...DESTROY);
    expect(refused.code, refused.all).not.toBe(0);
    expect(refused.all).toContain(`The container ${stack.prefix}-db is missing.`);
    expect(refused.all).toContain("npm run pulumi -- up --refresh");
    const { code, all } = await stack.pulumi(...UP, "--refresh");
    expect(code, all).toBe(0);
    expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
    await stack.requireNoChange();
  });
});

describe("a container engine that cannot be reached", () => {
  it("changes nothing, and is what every command names", async () => {
    const before = await stack.containerId("db");
    await engine.goAway();
    for (const command of [UP, DESTROY]) {
      const refused = await stack.pulumi(...command);
      expect(refused.code, refused.all).not.toBe(0);
      expect(refused.all).toContain(engine.host.slice("unix://".length));
      expect(refused.all).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
    }
    await engine.comeBack();
    await expectUntouched(before);
    await stack.requireNoChange();
  });

  itSlowly(
    "while the backup is taken leaves the database as it is: how the backup ended is not known",
    async () => {
      for (const request of [/POST \S*\/exec\/\w+\/start/, /GET \S*\/exec\/\w+\/json/]) {
        const before = await stack.containerId("db");
        // The gate's reason for its backup tells its request from earlier ones.
        engine.goAwayAt(request, "before-change");
        const refused = await withEvents(stack, ...replaceDatabase());
        await engine.comeBack();
        expect(refused.code, refused.all).not.toBe(0);
        expect(refused.all).toContain("no backup of it could be taken");
        expect(refused.all).toContain("it is not known how the backup ended");
        await expectUntouched(before, refused.events);
      }
      await stack.up();
      await stack.requireNoChange();
    },
  );
});

it("`pulumi destroy` removes the database only when its backup is complete", async () => {
  const backups = await backupsOf(async () => {
    const { code, all, events } = await withEvents(stack, ...DESTROY);
    expect(code, all).toBe(0);
    expectBackupBeforeDatabase(events, "delete");
  });
  expect(backups.map(({ reason }) => reason)).toEqual(["before-change"]);
  await stack.up();
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
});

/** The agent's own lock, held by somebody else: the simplest way to make every backup fail. */
async function holdLock(): Promise<void> {
  const sql = "SELECT pg_advisory_lock(1651860583, 2), pg_sleep(600)";
  const exec = await container("db").exec({
    Cmd: ["psql", "-U", "budgie_user", "-d", "postgres", "-c", sql],
  });
  await exec.start({ Detach: true });
  const held =
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651860583 AND granted";
  await until(
    "the lock held",
    () => stack.sql(held),
    count => count === "1",
    { everyMs: 100 },
  );
}
