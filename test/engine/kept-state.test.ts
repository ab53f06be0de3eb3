import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;
let configFile: string;

beforeAll(async () => {
  stack = await createStack();
  configFile = join(stack.stateFolder, "..", "Pulumi.yaml");
});

afterAll(async () => {
  await stack?.remove();
  if (stack)
    for (const left of [`Pulumi.${stack.name}.yaml`, `Pulumi.${stack.name}.yaml.before-recover`])
      await rm(left, { force: true });
});

async function toolchain(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const { env } = stack.invocation();
  const result = await execa("node", ["toolchain/run.mjs", command, ...args], {
    env: { ...env, ...environment },
    reject: false,
    all: true,
    stdin: "ignore",
  });
  return { code: result.exitCode ?? 1, all: result.all };
}

const onStack = () => ["--stack", stack.name, "--config-file", configFile, "--yes", "--skip-preview"];
const folder = () => join(stack.backupDir, "state", stack.name);
const states = async () => (await readdir(folder())).filter(name => name.startsWith("state_")).sort();
const recover = (file: string, environment: NodeJS.ProcessEnv = {}) =>
  toolchain("recover-state", [file, "--config-file", configFile], environment);

it("is kept by each up that changed something, without a secret that everybody can read", async () => {
  await stack.set("databasePassword", "of-the-database-and-not-to-be-seen", { secret: true });
  const up = await toolchain("pulumi", ["up", ...onStack()]);
  expect(up.code, up.all).toBe(0);
  expect(up.all).toContain("The stack's state is kept with the backups: state_");
  expect(await states()).toHaveLength(1);
  const text = await readFile(join(folder(), (await states())[0] ?? ""), "utf8");
  expect(text).not.toContain("of-the-database-and-not-to-be-seen");
  expect(text).toContain("ciphertext");
  await stack.requireNoChange();
  await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
  expect((await stack.budgie(["status"])).all).not.toContain("state_");
  const list = await stack.budgie(["list"]);
  expect(list.all).not.toContain("state_");
});

it("brings the stack back in a new clone, and nothing is replaced", async () => {
  const file = join(folder(), (await states()).at(-1) ?? "");
  const there = await recover(file);
  expect(there.code).not.toBe(0);
  expect(there.all).toMatch(/its state knows \d+ resources. It is never replaced/);

  const [database, backend] = [await stack.containerId("db"), await stack.containerId("backend")];
  const key = await readFile(join(stack.stateFolder, "manifest-keys", stack.name), "utf8");
  const settings = await readFile(configFile, "utf8");
  // The project's folder is lost: a new clone has the settings that every clone has, and no state.
  for (const name of await readdir(stack.stateFolder))
    await rm(join(stack.stateFolder, name), { recursive: true });
  await writeFile(configFile, "config: {}\n");

  const wrong = await recover(file, { PULUMI_CONFIG_PASSPHRASE: "of another stack" });
  expect(wrong.code).not.toBe(0);
  expect(wrong.all).toContain("does not open the secrets");
  const cut = join(stack.backupDir, "cut.json");
  await writeFile(cut, (await readFile(file)).subarray(0, 5000));
  expect((await recover(cut)).all).toContain("is no state that an up has kept");
  await rm(cut);
  expect(await readFile(configFile, "utf8")).toBe("config: {}\n");

  const back = await recover(file);
  expect(back.code, back.all).toBe(0);
  expect(await readFile(configFile, "utf8")).toBe(settings);
  expect(await readFile(`${configFile}.before-recover`, "utf8")).toBe("config: {}\n");
  expect(await readFile(join(stack.stateFolder, "manifest-keys", stack.name), "utf8")).toBe(key);
  await stack.requireNoChange();
  await stack.up();
  expect(await stack.containerId("db")).toBe(database);
  expect(await stack.containerId("backend")).toBe(backend);
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  const verified = await stack.budgie(["backup"]);
  expect(verified.code, verified.all).toBe(0);
});

itSlowly(
  "gives its key to a stack that begins anew on another machine, so the backups are that stack's own",
  async () => {
    const taken = await stack.budgie(["backup"]);
    expect(taken.code, taken.all).toBe(0);
    const file = join(folder(), (await states()).at(-1) ?? "");
    const elsewhere = await mkdtemp(join(tmpdir(), "budgie-test-elsewhere-"));
    await cp(stack.backupDir, elsewhere, { recursive: true });
    await stack.loseEverything();
    const name = basename(file);
    const back = await recover(join(elsewhere, "state", stack.name, name));
    expect(back.code, back.all).toBe(0);
    const forgotten = await stack.pulumi("stack", "rm", "--force", "--yes", "--preserve-config");
    expect(forgotten.code, forgotten.all).toBe(0);
    await stack.pulumi("stack", "init");
    for (const left of (await readdir(elsewhere)).filter(name => name.startsWith("budgie_")))
      await cp(join(elsewhere, left), join(stack.backupDir, left));
    await rm(elsewhere, { recursive: true });

    const up = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(up.all).toContain("npx budgie restore latest");
    const restored = await stack.budgie(["restore", "latest"]);
    expect(restored.code, restored.all).toBe(0);
    await stack.up();
    expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  },
);
