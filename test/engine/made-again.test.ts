import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { httpStatus } from "../../shared/http-status.ts";
import { startPodman, type TestPodman } from "../support/servers/podman.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { followWayOut } from "../support/stack/follow-way-out.ts";
import { type CommandResult, createStack, type TestStack } from "../support/stack/stack.ts";

const ALL = process.env.ENGINES === "all";

/** How another tool makes a container otherwise than it was. */
interface Otherwise {
  network?: string;
  labels?: Record<string, string>;
  restart?: "no" | "always";
}

describe.each(ALL ? (["Docker", "rootful"] as const) : (["Docker"] as const))(
  "on %s, plain `pulumi up`",
  engine => {
    let podman: TestPodman | undefined;
    let stack: TestStack;
    let rows = 0;

    const named = (service: string) => stack.docker.getContainer(`${stack.prefix}-${service}`);

    /** As Watchtower does: from what `inspect` tells. The files that Pulumi put into it are not among that. */
    const makeAgain = async (service: string, { network, labels, restart }: Otherwise = {}) => {
      const made = await named(service).inspect();
      await named(service)
        .stop({ t: 60 })
        .catch(() => undefined);
      await named(service).remove({ v: false });
      const { Image: image, Config: config, HostConfig: host } = made;
      const again = await stack.docker.createContainer({
        ...config,
        name: made.Name.slice(1),
        Hostname: "",
        Image: image,
        Labels: labels ?? config.Labels,
        HostConfig: {
          ...host,
          NetworkMode: network ?? `${stack.prefix}-network`,
          ...(restart ? { RestartPolicy: { Name: restart } } : {}),
        },
      });
      await again.start();
    };
    const remember = async () => {
      await stack.sql(`INSERT INTO kept VALUES (${++rows})`);
    };
    const manifests = async () =>
      (await readdir(stack.backupDir)).filter(name => /^budgie_.*\.json$/.test(name)).sort();
    const heals = async (
      up: () => Promise<CommandResult> = () => stack.pulumi("up", "--yes", "--skip-preview"),
    ) => {
      const { code, all } = await up();
      expect(code, all).toBe(0);
      expect(await httpStatus(`${stack.url}/health`)).toBe(200);
      expect(await stack.sql("SELECT count(*) FROM kept")).toBe(String(rows));
      const backup = await stack.budgie(["backup"]);
      expect(backup.code, backup.all).toBe(0);
      await stack.requireNoChange();
      return all;
    };

    beforeAll(async () => {
      if (engine !== "Docker") podman = await startPodman(engine);
      stack = podman
        ? await createStack(
            { backupDir: await podman.operatorsFolder() },
            { DOCKER_HOST: podman.engine.host },
          )
        : await createStack();
      await stack.up();
      await stack.sql("CREATE TABLE kept (row int)");
    });
    afterAll(async () => {
      await stack?.remove();
      await podman?.stop();
    });

    it("makes the stack's own again what another tool made again without its secret files, with a backup before the database goes", async () => {
      await remember();
      const before = await manifests();
      for (const service of ["db", "backup", "backend"]) await makeAgain(service);
      const status = await stack.budgie(["status"]);
      expect(status.all).toContain("secret files are missing");
      expect(status.all).toContain("npm run pulumi -- up");
      expect(status.all).not.toContain("--refresh");

      const said = await heals();

      expect(said).toContain(
        `Something else than the stack made ${stack.prefix}-db, ${stack.prefix}-backup, ${stack.prefix}-backend again.`,
      );
      const [first = ""] = (await manifests()).filter(name => !before.includes(name));
      const manifest = JSON.parse(await readFile(join(stack.backupDir, first), "utf8")) as Manifest;
      expect(manifest.reason).toBe("before-change");
      expect(manifest.tables).toContainEqual(expect.objectContaining({ name: "public.kept", rows }));
    });

    itSlowly("one that is in another network, and one with another restart policy", async () => {
      await remember();
      await makeAgain("backup", { network: "bridge" });
      await makeAgain("db", { network: "bridge", restart: "no" });
      await heals();
      expect(Object.keys((await named("backup").inspect()).NetworkSettings.Networks)).toEqual([
        `${stack.prefix}-network`,
      ]);
      expect((await named("db").inspect()).HostConfig.RestartPolicy?.Name).not.toBe("no");
    });

    itSlowly("does so after a refresh, too, which forgets the stack's own", async () => {
      await remember();
      for (const service of ["backend", "backup", "db"]) await makeAgain(service);
      await heals(() => stack.pulumi("up", "--refresh", "--yes", "--skip-preview"));
    });

    itSlowly("changes nothing in a preview, and says what an `up` would do", async () => {
      await remember();
      await makeAgain("backend");
      const { Id: id } = await named("backend").inspect();
      const { code, all } = await stack.pulumi("preview");
      expect(code, all).toBe(0);
      expect(all).toContain(`made ${stack.prefix}-backend again. An \`up\` makes`);
      expect((await named("backend").inspect()).Id).toBe(id);
      await heals();
    });

    itSlowly("makes what somebody removed", async () => {
      await remember();
      for (const service of ["backend", "backup", "db"]) await named(service).remove({ force: true });
      await heals();
    });

    it("refuses one without the stack's labels: it may be anybody's; the lines that it names make way", async () => {
      await remember();
      await makeAgain("db", { labels: {} });
      const refused = await stack.pulumi("up", "--yes", "--skip-preview");
      expect(refused.code, refused.all).not.toBe(0);
      await followWayOut(stack, refused.all, "Remove it; that keeps every volume");
      await heals();
    });
  },
);
