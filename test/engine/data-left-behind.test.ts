import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { followWayOut } from "../support/stack/follow-way-out.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;
let folder: string;
/** The stack is moved to another one each time. */
let prefixes: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-test-state-"));
  stack = await createStack();
  prefixes = [stack.prefix, `${stack.prefix}-m`, `${stack.prefix}-m-2`];
  await stack.up();
  await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
});

afterAll(async () => {
  await stack?.remove();
  for (const prefix of prefixes.slice(1))
    await stack.docker
      .getVolume(`${prefix}-postgres-data`)
      .remove()
      .catch(() => undefined);
  await rm(folder, { recursive: true });
});

/** Both must refuse with the same message and change nothing. */
async function refusal(): Promise<string> {
  const volumes = async () => (await stack.docker.listVolumes()).Volumes.map(({ Name: name }) => name).sort();
  const own = (names: string[]) => names.filter(name => name.startsWith(stack.prefix));
  const started = await stack.sql("SELECT pg_postmaster_start_time()");
  const before = own(await volumes());
  const preview = await stack.pulumi("preview");
  const up = await stack.pulumi("up", "--yes", "--skip-preview");
  for (const { code, all } of [preview, up]) {
    expect(code, all).not.toBe(0);
    expect(all).toContain(`The data of stack ${stack.name} would be left behind. Nothing was changed.`);
  }
  expect(own(await volumes())).toEqual(before);
  expect(await stack.sql("SELECT pg_postmaster_start_time()")).toBe(started);
  return preview.all;
}

async function isWell() {
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  await stack.requireNoChange();
}

/** Makes the state as it would be if another version of this program had filled the volume. */
async function writtenBy(majorVersion: string): Promise<void> {
  const { stdout } = await stack.pulumi("stack", "export");
  const { deployment, ...rest } = JSON.parse(stdout);
  const memory = deployment.resources.find(({ urn }: { urn: string }) => urn.endsWith("Stash::data"));
  for (const side of [memory.inputs, memory.outputs]) side.input.majorVersion = majorVersion;
  const file = join(folder, "state.json");
  await writeFile(file, JSON.stringify({ ...rest, deployment }));
  const { code, all } = await stack.pulumi("stack", "import", "--file", file);
  expect(code, all).toBe(0);
}

it("another prefix or database name is refused in preview and up; the way back leads back", async () => {
  await stack.set("namePrefix", `${stack.prefix}-m`);
  await stack.set("databaseName", "ledger");
  await followWayOut(stack, await refusal(), "Back to the data:");
  await isWell();
});

itSlowly(
  "another prefix and database name: the way on moves the data, and leaves the old volume",
  async () => {
    await stack.set("namePrefix", `${stack.prefix}-m`);
    await stack.set("databaseName", "ledger");
    await followWayOut(stack, await refusal(), "To move the data");
    expect(await stack.sql("SELECT current_database()")).toBe("ledger");
    await isWell();
    const { Name: old } = await stack.docker.getVolume(`${stack.prefix}-postgres-data`).inspect();
    expect(old).toBe(`${stack.prefix}-postgres-data`);
  },
);

it("another major version is refused in preview and up, with the way back and the command that moves the data", async () => {
  await stack.set("postgresVersion", "17");
  const message = await refusal();
  expect(message).toContain(
    "It was written by PostgreSQL 16; PostgreSQL 17, which budgie:postgresVersion names",
  );
  expect(message).toContain("npx budgie upgrade");
  await followWayOut(stack, message, "Back to the data:");
  await isWell();
});

itSlowly(
  "an older one than the data's is refused, and an upgrade says that there is none to go back from",
  async () => {
    await stack.set("postgresVersion", "17");
    await writtenBy("18");
    expect(await refusal()).toContain("npx budgie upgrade --undo");
    await writtenBy("16");
    await stack.set("postgresVersion", "16");
    for (const args of [[], ["--undo"]]) {
      const { code, all } = await stack.budgie(["upgrade", ...args, "--config-file", stack.configFile]);
      expect(code, all).toBe(EXIT.notConfirmed);
      expect(all).toContain("Nothing was changed.");
    }
    await isWell();
  },
);
