import { rm } from "node:fs/promises";
import { afterEach, expect } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { startPodman, type TestPodman } from "../support/servers/podman.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let engines: TestPodman[] = [];
let stack: TestStack | undefined;

afterEach(async () => {
  await stack?.remove();
  if (stack) await rm(stack.backupDir, { recursive: true });
  for (const engine of engines) await engine.stop();
  engines = [];
});

/** Two engines of Podman, one of them an ordinary user's, take five minutes. What `up` decides by is unit-tested. */
itSlowly(
  "a stack of an ordinary user's Podman is refused on root's, and goes on untouched on its own",
  async () => {
    const own = await startPodman("rootless");
    engines.push(own);
    const roots = await startPodman("rootful");
    engines.push(roots);
    stack = await createStack({ backupDir: await own.operatorsFolder() }, { DOCKER_HOST: own.engine.host });
    await stack.up();
    await stack.sql("CREATE TABLE ours AS SELECT 42 AS answer");

    // What `sudo` does to a stack that finds its engine by itself.
    await stack.set("engineHost", roots.engine.host);
    const preview = await stack.pulumi("preview");
    const refused = await stack.pulumi("up", "--yes", "--skip-preview");

    expect(preview.code, preview.all).not.toBe(0);
    expect(refused.code, refused.all).not.toBe(0);
    for (const { all } of [preview, refused]) {
      expect(all).toContain("belongs to another container engine");
      expect(all).toContain(`its own: ${own.engine.host}`);
      expect(all).toContain(`found:   ${roots.engine.host}`);
      expect(all).toContain(`npm run pulumi -- config set budgie:engineHost ${own.engine.host}`);
    }
    const elsewhere = engineClient(roots.engine.host);
    expect(await elsewhere.listContainers({ all: true })).toEqual([]);
    expect((await elsewhere.listVolumes()).Volumes).toEqual([]);

    await stack.set("engineHost", own.engine.host);
    await stack.requireNoChange();
    expect(await stack.sql("SELECT answer FROM ours")).toBe("42");
  },
);
