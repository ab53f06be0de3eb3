import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PROJECT_FOLDER } from "../../../../shared/project-folder.ts";
import { EVERYTHING, needsOf } from "../../../../toolchain/machine/needs.ts";

const ONLY_STORE = { aws: false, localStore: true, postgres: [] };
const ONLY_AWS = { aws: true, localStore: false, postgres: [] };
const NEITHER = { aws: false, localStore: false, postgres: [] };
let project: string;

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "budgie-test-needs-"));
  await copyFile(join(PROJECT_FOLDER, "Pulumi.yaml"), join(project, "Pulumi.yaml"));
});
afterEach(() => rm(project, { recursive: true }));

const settings = (stack: string, text: string) => writeFile(join(project, `Pulumi.${stack}.yaml`), text);
const needs = (args: string[] = [], env: NodeJS.ProcessEnv = {}) => needsOf(project, args, env);

async function state(stack: string, content: string | Buffer, ending = ""): Promise<void> {
  const file = join(project, ".pulumi-state", ".pulumi", "stacks", "budgie", `${stack}.json${ending}`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

it("a fresh clone needs the local store's image, and no AWS plugin", async () => {
  expect(await needs()).toEqual(ONLY_STORE);
  // Somebody else's production has its settings in the repository; it is not on this machine.
  await settings("prod", "config:\n  budgie:objectStore: aws\n");
  expect(await needs()).toEqual(ONLY_STORE);
});

it("a database that Amazon runs needs the AWS plugin, wherever the backups go", async () => {
  await settings("dev", "config:\n  budgie:objectStore: none\n  budgie:database: rds\n");
  expect(await needs()).toEqual(ONLY_AWS);
});

it.each([
  ["local", ONLY_STORE],
  ["none", NEITHER],
  ["aws", ONLY_AWS],
  ["s3", ONLY_AWS],
  ["somewhere", EVERYTHING],
  ["[not, a, text]", EVERYTHING],
  ["{unfinished", EVERYTHING],
])("a stack with objectStore %s needs %o", async (store, wanted) => {
  await settings("dev", `config:\n  budgie:objectStore: ${store}\n`);
  expect(await needs()).toEqual(wanted);
});

it("every stack of the machine counts", async () => {
  await settings("dev", "config:\n  budgie:objectStore: none\n");
  await settings("prod", "config:\n  budgie:objectStore: aws\n");
  expect(await needs()).toEqual(NEITHER);
  await state("prod", "{}");
  expect(await needs()).toEqual(ONLY_AWS);
});

it("what the state still holds must be removable", async () => {
  const held = '{"type": "pulumi:providers:aws"}';
  await settings("dev", "config:\n  budgie:objectStore: none\n");
  await state("dev", held.replace("aws", "docker"));
  expect(await needs()).toEqual(NEITHER);
  await state("dev", held);
  expect(await needs()).toEqual(ONLY_AWS);
});

it.each([
  ["packed", () => state("dev", gzipSync('{"type": "pulumi:providers:aws"}'), ".gz")],
  ["broken", () => state("dev", "no gzip", ".gz")],
])("a state that is %s counts as holding it", async (_, write) => {
  await write();
  expect(await needs()).toEqual(EVERYTHING);
});

it.each([
  [["up", "--config-file", "other.yaml"], {}],
  [["up", "-c", "budgie:objectStore=aws"], {}],
  [["preview", "--config=budgie:objectStore=aws"], {}],
  [["up"], { PULUMI_BACKEND_URL: "s3://elsewhere" }],
])("settings and a state from elsewhere (%j) may need everything", async (args, env) => {
  expect(await needs(args, env)).toEqual(EVERYTHING);
});

it("a version of PostgreSQL is needed where a stack's file names it, also one from elsewhere", async () => {
  await settings("prod", "config:\n  budgie:postgresVersion: '18'\n");
  expect((await needs()).postgres).toEqual(["18"]);
  await writeFile(join(project, "other.yaml"), "config:\n  budgie:postgresVersion: 17\n");
  for (const args of [
    ["--config-file", "other.yaml"],
    ["--config-file=other.yaml"],
    ["-c", "a=b", "--config-file", join(project, "other.yaml")],
  ])
    expect(await needs(["up", ...args])).toEqual({ ...EVERYTHING, postgres: ["17", "18"] });
  await settings("dev", "config:\n  budgie:postgresVersion: '16'\n  budgie:objectStore: none\n");
  expect((await needs()).postgres).toEqual(["18"]);
});
