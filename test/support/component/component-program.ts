import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { engineClient } from "../../../engine/client.ts";
import { findEngine } from "../../../engine/find-engine.ts";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";
import { toolchainEnvironment } from "../../../toolchain/machine/environment.ts";
import { pulumiCli } from "../../../toolchain/machine/pulumi-cli.ts";
import { sdkGenerator } from "../../../toolchain/machine/sdk-generator.ts";
import { yamlHost } from "../../../toolchain/machine/yaml-host.ts";

/** What the command wrote to its standard output; the test fails where the command did. */
export async function succeed(what: Promise<Result>): Promise<string> {
  const { code, all, stdout } = await what;
  expect(code, all).toBe(0);
  return stdout;
}

interface Result {
  code: number;
  all: string;
  stdout: string;
}

/** Somebody's Pulumi program, outside the project's folder. */
export interface ComponentProgram {
  folder: string;
  prefix: string;
  pulumi(...args: string[]): Promise<Result>;
  budgie(...args: string[]): Promise<Result>;
  /** Of a component with another prefix. */
  budgieOn(prefix: string, args: string[], environment?: NodeJS.ProcessEnv): Promise<Result>;
  sql(text: string, prefix?: string): Promise<string>;
  /** Everything that Pulumi keeps of it. */
  stateText(): Promise<string>;
  /** The resources of a program in YAML. */
  write(resources: string): Promise<void>;
  /** From now on, also in the environment of what is run. */
  knows(environment: NodeJS.ProcessEnv): void;
  remove(): Promise<void>;
}

/** @param project its name in Pulumi.yaml */
export async function componentProgram(
  project: string,
  language: "yaml" | "nodejs" = "yaml",
): Promise<ComponentProgram> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-test-program-"));
  const prefix = `budgie-test-${randomBytes(3).toString("hex")}`;
  await mkdir(join(folder, "state"));
  const { PULUMI_CONFIG_PASSPHRASE_FILE: _, ...known } = await toolchainEnvironment();
  const env = {
    ...known,
    PATH: [await languageHosts(folder, language), known.PATH ?? process.env.PATH].join(delimiter),
    PULUMI_BACKEND_URL: `file://${folder}/state`,
    PULUMI_CONFIG_PASSPHRASE: "of a test",
    XDG_STATE_HOME: join(folder, "own-state"),
  };
  const run = async (
    file: string,
    args: string[],
    cwd: string,
    more: NodeJS.ProcessEnv = {},
  ): Promise<Result> => {
    const options = {
      cwd,
      env: { ...env, ...more },
      extendEnv: true,
      reject: false,
      all: true,
      stdin: "ignore",
    } as const;
    const { exitCode, all, stdout } = await execa(file, args, options);
    return { code: exitCode ?? 1, all, stdout };
  };
  const docker = engineClient((await findEngine()).host);
  const file = join(folder, "Pulumi.yaml");
  await writeFile(file, `name: ${project}\nruntime: ${language}\n`);
  const budgieOn = (of: string, args: string[], environment?: NodeJS.ProcessEnv) =>
    run(process.execPath, ["scripts/budgie.mjs", "--stack", of, ...args], PROJECT_FOLDER, environment);
  const program: ComponentProgram = {
    folder,
    prefix,
    pulumi: (...args) => run("pulumi", [...args, "--non-interactive"], folder),
    budgie: (...args) => budgieOn(prefix, args),
    budgieOn,
    sql: async (text, of = prefix) => {
      const args = ["exec", `${of}-db`, "psql", "-XAtq", "-U", "budgie_user", "-d", "shop", "-c", text];
      return (await execa("docker", args)).stdout;
    },
    stateText: async () => {
      const files = await readdir(join(folder, "state"), { recursive: true, withFileTypes: true });
      const read = files
        .filter(entry => entry.isFile())
        .map(entry => readFile(join(entry.parentPath, entry.name), "utf8"));
      return (await Promise.all(read)).join("\n");
    },
    write: async resources => {
      const [head = ""] = (await readFile(file, "utf8")).split(/^resources:/m);
      await writeFile(file, `${head}${resources}`);
    },
    knows: environment => Object.assign(env, environment),
    remove: async () => {
      const ours = (name = "") => name.replace(/^\//, "").startsWith(prefix);
      for (const { Id: id, Names: names } of await docker.listContainers({ all: true }))
        if (names.some(ours)) await docker.getContainer(id).remove({ force: true, v: true });
      for (const { Name: name } of (await docker.listVolumes()).Volumes)
        if (ours(name)) await docker.getVolume(name).remove();
      for (const { Id: id, Name: name } of await docker.listNetworks())
        if (ours(name)) await docker.getNetwork(id).remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
  const made = await program.pulumi("stack", "init", "dev");
  if (made.code !== 0) throw new Error(made.all);
  return program;
}

/** A folder with the hosts of both languages; where they are older than the engine, with what it asks of newer ones. */
async function languageHosts(folder: string, language: "yaml" | "nodejs"): Promise<string> {
  const cli = await pulumiCli();
  const yaml = await yamlHost(cli);
  if (yaml === cli.folder) return yaml;
  const hosts = join(folder, "hosts");
  await mkdir(hosts);
  const wrapper = join(PROJECT_FOLDER, "test/support/component/language-host.mjs");
  const generator = language === "nodejs" ? await sdkGenerator() : "";
  const real = { nodejs: cli.folder, yaml };
  for (const [name, at] of Object.entries(real)) {
    const host = join(hosts, `pulumi-language-${name}`);
    const script = [
      "#!/bin/sh",
      `export SDK_GENERATOR="${generator}"`,
      `exec "${process.execPath}" "${wrapper}" "${at}/pulumi-language-${name}" "$@"`,
    ];
    await writeFile(host, `${script.join("\n")}\n`);
    await chmod(host, 0o755);
  }
  return hosts;
}
