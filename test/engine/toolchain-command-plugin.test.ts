// The Command plugin under the real engine, whichever of the two it is here: what the gates rely on.
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toolchainEnvironment } from "../../toolchain/environment.ts";
import { projectFolder } from "../../toolchain/project.ts";

const program = `
import * as pulumi from "@pulumi/pulumi";
import { local } from "@pulumi/command";
const { STEP = "1", EDIT = "", DELETE_EXIT = "0" } = process.env;
const gate = new local.Command("gate", {
  create: 'echo "create $STEP" >> log',
  update: 'echo "update $STEP" >> log',
  delete: 'echo "delete $STEP" >> log; exit $DELETE_EXIT',
  triggers: [STEP],
  environment: { STEP, EDIT, DELETE_EXIT, HIDDEN: pulumi.secret("canary-environment") },
  stdin: pulumi.secret("canary-stdin"),
  addPreviousOutputInEnv: false,
});
const holder = new local.Command("holder", { create: "cat", stdin: "canary-output" }, { additionalSecretOutputs: ["stdout"] });
export const held = holder.stdout.apply(text => text.length);
`;

let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "command-engine-"));
  await symlink(join(projectFolder, "node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, "package.json"),
    '{"type":"module","dependencies":{"@pulumi/command":"1.2.1"}}',
  );
  await writeFile(join(folder, "index.ts"), program);
  await mkdir(join(folder, "state"));
  await writeFile(
    join(folder, "Pulumi.yaml"),
    'name: command-test\nmain: index.ts\nruntime: {name: nodejs, options: {typescript: false, nodeargs: "--import tsx"}}\n' +
      'backend: {url: "file://./state"}\n',
  );
  env = { ...(await toolchainEnvironment()), PULUMI_CONFIG_PASSPHRASE: "only a test's" };
  await pulumi(["stack", "init", "test"]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function pulumi(args: string[], step: Record<string, string> = {}) {
  const all = [...args, "--non-interactive"];
  return execa("pulumi", all, { cwd: folder, env: { ...env, ...step }, reject: false, all: true });
}

async function up(step: Record<string, string>) {
  await rm(join(folder, "log"), { force: true });
  const result = await pulumi(["up", "--yes", "--skip-preview"], step);
  return { result, log: await readFile(join(folder, "log"), "utf8").catch(() => "") };
}

it("creates, updates on an edit, and is quiet without one", async () => {
  const first = await up({});
  expect(first.result.exitCode, first.result.all).toBe(0);
  expect(first.log).toBe("create 1\n");
  expect((await up({ EDIT: "x" })).log).toBe("update 1\n");
  expect((await up({ EDIT: "x" })).log).toBe("");
  const quiet = await pulumi(["preview", "--refresh", "--expect-no-changes"], { EDIT: "x" });
  expect(quiet.exitCode, quiet.all).toBe(0);
});

it("creates the replacement before it deletes the old one, with the old one's script and environment", async () => {
  expect((await up({ STEP: "2", EDIT: "x" })).log).toBe("create 2\ndelete 1\n");
});

it("leaves no secret input in the state, nor an output that is declared secret", async () => {
  const files = await readdir(join(folder, "state"), { recursive: true, withFileTypes: true });
  const texts = await Promise.all(
    files.filter(file => file.isFile()).map(file => readFile(join(file.parentPath, file.name), "utf8")),
  );
  expect(texts.join("\n")).toContain("local:Command::gate");
  for (const canary of ["canary-environment", "canary-stdin"]) expect(texts.join("\n")).not.toContain(canary);
  const exported = (await pulumi(["stack", "export"])).stdout;
  expect(JSON.stringify(outputsOf(exported, "holder").stdout)).not.toContain("canary-output");
});

it("keeps the resource when its delete fails, stops the run and says what failed", async () => {
  await up({ STEP: "2", DELETE_EXIT: "3" });
  const destroy = await pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(destroy.exitCode).not.toBe(0);
  expect(destroy.all).toContain("exit status 3");
  expect(destroy.all).toContain("delete $STEP");
  expect((await pulumi(["stack", "--show-urns"])).stdout).toContain("local:Command::gate");
});

it("destroys once its delete succeeds again", async () => {
  await up({ STEP: "2" });
  const destroy = await pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(destroy.exitCode, destroy.all).toBe(0);
  expect(await readFile(join(folder, "log"), "utf8")).toBe("update 2\ndelete 2\n");
});

function outputsOf(exported: string, name: string): Record<string, unknown> {
  const { deployment } = JSON.parse(exported) as {
    deployment: { resources: { urn: string; outputs?: Record<string, unknown> }[] };
  };
  return deployment.resources.find(resource => resource.urn.endsWith(`::${name}`))?.outputs ?? {};
}
