import { readdir, readFile, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { type PodmanKind, startPodman, type TestPodman } from "../support/servers/podman.ts";
import { SLOW } from "../support/slow-lane.ts";
import { expectBackupBeforeDatabase, withEvents } from "../support/stack/engine-events.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

/** An ordinary user's has all the differences of root's, and more. */
const KINDS: PodmanKind[] = SLOW ? ["rootful", "rootless"] : ["rootless"];

describe.each(KINDS)("on %s Podman", kind => {
  let podman: TestPodman;
  let stack: TestStack;

  beforeAll(async () => {
    podman = await startPodman(kind);
  });
  afterAll(() => podman?.stop());

  beforeEach(async () => {
    const backupDir = await podman.operatorsFolder();
    stack = await createStack({ backupDir, objectStore: "local" }, { DOCKER_HOST: podman.engine.host });
  });
  afterEach(async () => {
    await stack.remove();
    await rm(stack.backupDir, { recursive: true });
  });

  const budgie = async (...args: string[]) => {
    const result = await stack.budgie(args);
    expect(result.code, result.all).toBe(0);
    return result.all;
  };
  const reasonsOfBackups = async () => {
    const names = (await readdir(stack.backupDir)).filter(name => /^budgie_.*\.json$/.test(name));
    const texts = await Promise.all(names.sort().map(name => readFile(join(stack.backupDir, name), "utf8")));
    return texts.map(text => (JSON.parse(text) as Manifest).reason);
  };
  const ledgers = () => stack.sql("SELECT string_agg(name, ', ' ORDER BY name) FROM household");

  it("the data outlives restarts, a bad change, a new container, destroy and up; and nothing ever differs", async () => {
    await stack.up();
    await stack.sql("CREATE TABLE household AS VALUES ('rent'), ('food')");
    await stack.sql("ALTER TABLE household RENAME column1 TO name");
    await stack.requireNoChange();

    await budgie("backup");
    for (const service of ["db", "backend", "backup", "object-store"]) {
      await expect
        .poll(() => healthcheck(podman.engine.host, `${stack.prefix}-${service}`), {
          timeout: 30_000,
          message: service,
        })
        .toBe("healthy");
    }
    expect(await budgie("list")).toMatch(/budgie_\d{8}_\d{6}\.sql/);
    await budgie("verify", "all");
    await budgie("status");
    for (const file of await readdir(stack.backupDir)) {
      const { uid, mode } = await stat(join(stack.backupDir, file));
      expect([file, uid, (mode & 0o777).toString(8)]).toEqual([file, podman.operator.uid, "600"]);
    }

    const count = "SELECT 'ledgers: ' || count(*) FROM household";
    expect(await budgie("psql", "--", "-Atc", count)).toContain("ledgers: 2");
    expect(await budgie("at", "latest", "psql", "--", "-Atc", count)).toContain("ledgers: 2");
    await budgie("restore", "latest", "--dry-run");
    expect(await budgie("volume", "list")).toContain(`${stack.prefix}-postgres-data`);

    await stack.sql("DELETE FROM household");
    await budgie("restore", "latest", "--yes");
    expect(await ledgers()).toBe("food, rent");
    await budgie("restart");
    expect(await ledgers()).toBe("food, rent");
    await budgie("stop");
    const [archive, copy] = [join(stack.backupDir, "volume.tar"), `${stack.prefix}-copied-postgres-data`];
    await budgie("volume", "export", archive);
    expect(await budgie("volume", "import", archive, "--volume", copy)).toContain(`${copy} holds it now`);
    await stack.docker.getVolume(copy).remove();
    await rm(archive);
    await budgie("start");
    expect(await ledgers()).toBe("food, rent");

    const before = await stack.containerId("db");
    const database = `urn:pulumi:${stack.name}::budgie::budgie:stack:Database$docker:index/container:Container::database-container`;
    const replaced = await withEvents(stack, "up", "--yes", "--skip-preview", "--replace", database);
    expect(replaced.code, replaced.all).toBe(0);
    expectBackupBeforeDatabase(replaced.events, "delete-replaced");
    expect(await stack.containerId("db")).not.toBe(before);
    expect(await ledgers()).toBe("food, rent");
    await stack.requireNoChange();

    const destroyed = await withEvents(stack, "destroy", "--yes", "--skip-preview");
    expect(destroyed.code, destroyed.all).toBe(0);
    expectBackupBeforeDatabase(destroyed.events, "delete");
    expect(await reasonsOfBackups()).toEqual(["manual", "before-restore", "before-change", "before-change"]);
    const volume = `${stack.prefix}-postgres-data`;
    expect((await stack.docker.getVolume(volume).inspect()).Name).toBe(volume);
    await stack.up();
    expect(await ledgers()).toBe("food, rent");
    const log = await stack.logs("db");
    expect(log).toContain("database system was shut down at");
    expect(log).not.toContain("interrupted");
    await stack.requireNoChange();
  });
});

/**
 * Runs the container's healthcheck now, as Podman's timers would. They need systemd; without it a container stays `starting`
 * for ever.
 */
function healthcheck(host: string, container: string): Promise<string> {
  const path = `/v4.0.0/libpod/containers/${container}/healthcheck`;
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: host.slice("unix://".length), path }, response => {
      let text = "";
      response.on("data", piece => {
        text += piece;
      });
      response.on("end", () => resolve((JSON.parse(text) as { Status: string }).Status));
    });
    asked.on("error", reject);
    asked.end();
  });
}
