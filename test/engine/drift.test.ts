import { mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { httpStatus } from "../../shared/http-status.ts";
import { freePort } from "../support/servers/free-port.ts";
import { type PodmanKind, startPodman, type TestPodman } from "../support/servers/podman.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { followWayOut } from "../support/stack/follow-way-out.ts";
import { type CommandResult, createStack, type TestStack } from "../support/stack/stack.ts";

/** One line of the table in docs/drift.md. */
interface Drift {
  happened: string;
  /** Its neighbours would notice most faults as well. */
  slowly?: true;
  /** Makes it happen. */
  happens(stack: TestStack): Promise<unknown>;
  /** Whether `pulumi up --refresh` replaces the database's container. */
  replaces?: true;
}

/** Each engine's table takes some eight minutes. podman.test.ts brings a stack up there, changes it and takes it down. */
const ENGINES = process.env.ENGINES === "all" ? (["Docker", "rootful"] as const) : (["Docker"] as const);

const container = (stack: TestStack, service: string) =>
  stack.docker.getContainer(`${stack.prefix}-${service}`);
const succeeds = async (running: Promise<CommandResult>) => {
  const { code, all } = await running;
  expect(code, all).toBe(0);
  return all;
};
const upRefresh = (stack: TestStack) => stack.pulumi("up", "--refresh", "--yes", "--skip-preview");
const removeContainer = (stack: TestStack, service: string) =>
  container(stack, service).remove({ force: true });

const table: Drift[] = [
  { happened: "the database was stopped", happens: stack => container(stack, "db").stop() },
  {
    happened: "the API and the backup agent were stopped",
    slowly: true,
    happens: async stack => {
      await container(stack, "backend").stop();
      await container(stack, "backup").stop({ t: 20 });
    },
  },
  {
    happened: "the database's container was removed",
    happens: stack => removeContainer(stack, "db"),
    replaces: true,
  },
  {
    happened: "the API's and the backup agent's containers were removed",
    slowly: true,
    happens: async stack => {
      await removeContainer(stack, "backend");
      await removeContainer(stack, "backup");
    },
  },
  {
    happened: "the password was changed in the database",
    slowly: true,
    happens: stack => stack.sql("ALTER ROLE budgie_user PASSWORD 'by hand'"),
  },
  {
    happened: "the network was removed",
    happens: async stack => {
      const network = stack.docker.getNetwork(`${stack.prefix}-network`);
      for (const service of ["db", "backup", "backend"])
        await network.disconnect({ Container: `${stack.prefix}-${service}`, Force: true });
      await network.remove();
    },
  },
];

describe.each<"Docker" | PodmanKind>(ENGINES)("on %s, `pulumi up --refresh`", engine => {
  let podman: TestPodman | undefined;
  let stack: TestStack;
  let rows = 0;

  /** A row that must be there afterwards. */
  const remember = async () => {
    await stack.sql(`INSERT INTO kept VALUES (${++rows})`);
  };
  const isWell = async () => {
    // It must serve at once, because `up` has ended. Not with `fetch`: its kept connection was lost with the network.
    expect(await httpStatus(`${stack.url}/health`)).toBe(200);
    expect(await stack.sql("SELECT count(*) FROM kept")).toBe(String(rows));
    await succeeds(stack.budgie(["backup"]));
    await stack.requireNoChange();
  };

  beforeAll(async () => {
    if (engine !== "Docker") podman = await startPodman(engine);
    stack = podman
      ? await createStack({ backupDir: await podman.operatorsFolder() }, { DOCKER_HOST: podman.engine.host })
      : await createStack();
    await stack.up();
    await stack.sql("CREATE TABLE kept (row int)");
  });
  afterAll(async () => {
    await stack?.remove();
    if (stack) await rm(stack.backupDir, { recursive: true, force: true });
    await podman?.stop();
  });

  it.each(table.filter(({ slowly }) => SLOW || !slowly))(
    "makes good that $happened",
    async ({ happens, replaces }) => {
      await remember();
      const before = await stack.containerId("db");
      await happens(stack);
      await succeeds(upRefresh(stack));
      expect((await stack.containerId("db")) !== before, "another container of the database").toBe(
        replaces ?? false,
      );
      await isWell();
    },
  );

  itSlowly(
    "starts a stopped database with a published port; Docker forgets the port, so there it is backed up and its container replaced",
    async () => {
      await remember();
      await stack.set("databasePort", String(await freePort()));
      await stack.up();
      const before = await stack.containerId("db");
      const backups = async () =>
        (await readdir(stack.backupDir)).filter(name => /^budgie_.*\.json$/.test(name));
      const known = await backups();
      await container(stack, "db").stop();

      await succeeds(upRefresh(stack));

      const replaced = (await stack.containerId("db")) !== before;
      const taken = (await backups()).filter(name => !known.includes(name));
      expect({ replaced, backups: taken.length }).toEqual(
        podman ? { replaced: false, backups: 0 } : { replaced: true, backups: 1 },
      );
      for (const name of taken) {
        const manifest = JSON.parse(await readFile(join(stack.backupDir, name), "utf8")) as Manifest;
        expect(manifest.reason).toBe("before-change");
        expect(manifest.tables).toContainEqual(expect.objectContaining({ name: "public.kept", rows }));
      }
      await isWell();
    },
  );

  const GONE: [string, (directory: string) => Promise<void>][] = [
    ["moved away", directory => rename(directory, `${directory}-old`)],
    ["removed", directory => rm(directory, { recursive: true })],
  ];
  it.each(SLOW ? GONE : GONE.slice(0, 1))(
    "has the agent look at ./backups again after that was %s; status says which backups are gone, until that is accepted",
    async (_, happens) => {
      await remember();
      await succeeds(stack.budgie(["backup"]));
      await happens(stack.backupDir);

      const up = await succeeds(stack.pulumi("up", "--yes", "--skip-preview"));

      expect(up).toContain("so the agent was started anew");
      await isWell();
      expect(await readdir(stack.backupDir)).toContainEqual(expect.stringMatching(/^budgie_.*\.sql$/));
      const red = await stack.budgie(["status"]);
      expect(red.code, red.all).toBe(10);
      expect(red.all).toContain("This is gone from");
      await succeeds(stack.budgie(["accept-missing-backups"]));
      await succeeds(stack.budgie(["status"]));
      await rm(`${stack.backupDir}-old`, { recursive: true, force: true });
    },
  );

  itSlowly(
    "touches nothing when another image has the name of one that the stack built; the way out brings it back",
    async () => {
      await remember();
      const { Image: image } = await container(stack, "backup").inspect();
      const { RepoTags: tags } = await stack.docker.getImage(image).inspect();
      const [, repo = "", tag = ""] =
        /^(.*):([^:]*)$/.exec(tags.find(name => name.includes(`${stack.prefix}-backup:`)) ?? "") ?? [];
      const { Image: other } = await container(stack, "backend").inspect();
      await stack.docker.getImage(other).tag({ repo, tag });
      const before = await stack.containerId("backup");

      const refused = await upRefresh(stack);

      expect(refused.code, refused.all).not.toBe(0);
      expect(refused.all).toContain(`The name ${repo}:${tag} means another image`);
      await followWayOut(stack, refused.all, "Give it back:");
      expect(await stack.containerId("backup")).toBe(before);
      await isWell();
    },
  );

  itSlowly("touches nothing when somebody else has taken the API's port", async () => {
    await remember();
    await container(stack, "backend").stop();
    const other = createServer();
    await new Promise<void>(resolve => other.listen(Number(new URL(stack.url).port), "127.0.0.1", resolve));
    const before = await stack.containerId("backend");
    const refused = await upRefresh(stack);
    await new Promise(resolve => other.close(resolve));
    expect(refused.code, refused.all).not.toBe(0);
    expect(refused.all).toContain("is taken by another program. Nothing was changed.");
    expect(await stack.containerId("backend")).toBe(before);
    await succeeds(upRefresh(stack));
    await isWell();
  });

  it("never makes a lost volume again, empty; the way out that it names brings the last backup back", async () => {
    await remember();
    await succeeds(stack.budgie(["backup"]));
    await removeContainer(stack, "db");
    await stack.docker.getVolume(`${stack.prefix}-postgres-data`).remove();
    // As if no backup had ever been taken. Only the state knows that there was a volume.
    const aside = await mkdtemp(join(tmpdir(), "budgie-test-aside-"));
    await rename(stack.backupDir, join(aside, "backups"));

    const preview = await stack.pulumi("preview");
    const up = await stack.pulumi("up", "--yes", "--skip-preview");
    const refresh = await upRefresh(stack);
    await rm(stack.backupDir, { recursive: true, force: true });
    await rename(join(aside, "backups"), stack.backupDir);
    await rm(aside, { recursive: true });

    for (const { code, all } of [preview, up, refresh]) {
      expect(code, all).not.toBe(0);
      expect(all).toContain(`The volume ${stack.prefix}-postgres-data, with the data of stack ${stack.name}`);
    }
    const { Volumes: volumes } = await stack.docker.listVolumes();
    expect(volumes.map(({ Name: name }) => name)).not.toContain(`${stack.prefix}-postgres-data`);

    await followWayOut(stack, refresh.all, "If it is lost:");
    await isWell();
  });
});
