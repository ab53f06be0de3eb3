// The Command plugin (official or stand-in) under the real engine: what the gates rely on.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pulumiProject, type TestProject } from "../support/stack/pulumi-project.ts";

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

let project: TestProject;

beforeAll(async () => {
  project = await pulumiProject("command", program);
});
afterAll(() => project?.remove());

/** The lines that the program's scripts wrote during one `pulumi up`, whether it succeeds or not. */
async function up(step: Record<string, string>) {
  const file = join(project.folder, "log");
  await rm(file, { force: true });
  const result = await project.pulumi(["up", "--yes", "--skip-preview"], step);
  return { result, log: await readFile(file, "utf8").catch(() => "") };
}

it("creates, updates on an edit, and is quiet without one", async () => {
  const first = await up({});
  expect(first.result.code, first.result.all).toBe(0);
  expect(first.log).toBe("create 1\n");
  expect((await up({ EDIT: "x" })).log).toBe("update 1\n");
  expect((await up({ EDIT: "x" })).log).toBe("");
  await project.requireNoChange({ EDIT: "x" });
});

it("creates the replacement before it deletes the old one, with the old one's script and environment", async () => {
  expect((await up({ STEP: "2", EDIT: "x" })).log).toBe("create 2\ndelete 1\n");
});

it("leaves no secret input in the state, nor an output that is declared secret", async () => {
  const text = await project.stateText();
  expect(text).toContain("local:Command::gate");
  for (const canary of ["canary-environment", "canary-stdin"]) expect(text).not.toContain(canary);
  const { stdout } = (await project.resource("holder")).outputs;
  expect(stdout).toBeDefined();
  expect(JSON.stringify(stdout)).not.toContain("canary-output");
});

it("keeps the resource when its delete fails, stops the run and says what failed", async () => {
  await up({ STEP: "2", DELETE_EXIT: "3" });
  const destroy = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(destroy.code).not.toBe(0);
  expect(destroy.all).toContain("exit status 3");
  expect(destroy.all).toContain("delete $STEP");
  await project.resource("gate");
});

it("destroys once its delete succeeds again", async () => {
  await up({ STEP: "2" });
  const destroy = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(destroy.code, destroy.all).toBe(0);
  expect(await readFile(join(project.folder, "log"), "utf8")).toBe("update 2\ndelete 2\n");
});
