import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { SLOW } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

/** What a project folder has, whatever its program. */
const SHARED = [".build", "agent", "backend", "components", "node_modules", "package.json"];

let olderProject: string;
const stacks: TestStack[] = [];

beforeAll(async () => {
  await mkdir(".build", { recursive: true });
  olderProject = await mkdtemp(join(tmpdir(), "budgie-test-older-"));
  for (const name of SHARED) await symlink(resolve(name), join(olderProject, name));
  await symlink(resolve("test/engine/upgrade/layouts.ts"), join(olderProject, "index.ts"));
  await writeFile(join(olderProject, "Pulumi.yaml"), await olderProjectFile());
});
afterAll(async () => {
  for (const stack of stacks) await stack.remove();
  await rm(olderProject, { recursive: true, force: true });
});

/** As it was before program.mjs. */
async function olderProjectFile(): Promise<string> {
  const project = parse(await readFile("Pulumi.yaml", "utf8")) as { runtime: { options: object } };
  const runtime = { name: "nodejs", options: { ...project.runtime.options, nodeargs: "--import tsx/esm" } };
  return stringify({ ...project, main: "index.ts", runtime });
}

/** `pulumi up` with the program as it was. */
async function upWithLayout(stack: TestStack, layout: number): Promise<void> {
  const { args, env } = stack.invocation("up", "--yes", "--skip-preview");
  const { failed, all } = await execa("pulumi", args, {
    cwd: olderProject,
    env: { ...env, BUDGIE_TEST_LAYOUT: String(layout) },
    all: true,
    reject: false,
  });
  if (failed) throw new Error(`pulumi up with layout ${layout} failed:\n${all}`);
}

async function backups({ backupDir }: TestStack): Promise<Manifest[]> {
  const names = (await readdir(backupDir)).filter(name => /^budgie_.*\.json$/.test(name)).sort();
  return Promise.all(names.map(async name => JSON.parse(await readFile(join(backupDir, name), "utf8"))));
}

/** PostgreSQL's own name for what is in the volume: an empty one made anew would get another. */
const systemIdentifier = (stack: TestStack) => stack.sql("SELECT system_identifier FROM pg_control_system()");

const PASTS = [
  { past: "each layout in turn", layouts: [1, 2, 3] },
  { past: "the first layout alone, which had no gate", layouts: [1] },
];

it.each(SLOW ? PASTS : PASTS.slice(0, 1))(
  "a stack that lived through $past comes up as today's, with its volume and rows, after a backup",
  async ({ layouts }) => {
    const stack = await createStack({ engineHost: (await findEngine()).host });
    stacks.push(stack);
    let identifier: string | undefined;
    for (const layout of layouts) {
      await upWithLayout(stack, layout);
      identifier ??= await systemIdentifier(stack);
      await stack.sql(
        `CREATE TABLE IF NOT EXISTS kept (layout integer); INSERT INTO kept VALUES (${layout})`,
      );
    }
    const [before, taken] = [await stack.containerId("db"), await backups(stack)];

    await stack.up();

    expect(await systemIdentifier(stack)).toBe(identifier);
    expect(await stack.sql("SELECT string_agg(layout::text, ' ' ORDER BY layout) FROM kept")).toBe(
      layouts.join(" "),
    );
    const container = stack.docker.getContainer(`${stack.prefix}-db`);
    const { Id: after, Created: createdAt } = await container.inspect();
    expect(after, "since then the database's container has changed").not.toBe(before);
    const first = (await backups(stack)).slice(taken.length).at(0);
    expect(first?.reason).toBe("before-change");
    expect(first?.tables).toContainEqual(
      expect.objectContaining({ name: "public.kept", rows: layouts.length }),
    );
    expect(new Date(first?.finishedAt ?? Number.NaN).getTime()).toBeLessThan(new Date(createdAt).getTime());
    await stack.requireNoChange();
  },
);
