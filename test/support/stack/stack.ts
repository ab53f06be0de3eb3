import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
import { findEngine } from "../../../engine/find-engine.ts";
import { toolchainEnvironment } from "../../../toolchain/machine/environment.ts";
import { freePort } from "../servers/free-port.ts";

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
  /** Standard output and standard error, interleaved. */
  all: string;
}

/** A stack of this project on the real engine, with its own names, ports, folders and state. */
export interface TestStack {
  /** As it was called first. */
  name: string;
  prefix: string;
  url: string;
  backupDir: string;
  /** The stack's own, for commands that are told where it is. */
  configFile: string;
  /** Everything that Pulumi stores about the stack, to search for what must not be there. */
  stateFolder: string;
  docker: Docker;
  /** Runs `pulumi ARGS` on this stack. */
  pulumi(...args: string[]): Promise<CommandResult>;
  /** How `pulumi` is run, for callers that must start it themselves. */
  invocation(...args: string[]): { args: string[]; env: NodeJS.ProcessEnv };
  /** `pulumi stack rename`. */
  rename(to: string): Promise<void>;
  /** `npm run recover`. */
  recover(): Promise<CommandResult>;
  /** `pulumi up`; throws with its output when it fails. */
  up(): Promise<CommandResult>;
  destroy(): Promise<CommandResult>;
  /** The second preview, which must show no change; throws with its output when it does. */
  requireNoChange(): Promise<void>;
  set(setting: string, value: string, options?: { secret: boolean }): Promise<void>;
  /** Runs `npx budgie ARGS`. */
  budgie(
    args: readonly string[],
    options?: { input?: Buffer; environment?: NodeJS.ProcessEnv },
  ): Promise<CommandResult>;
  containerId(service: "db" | "backend" | "backup"): Promise<string>;
  logs(service: "db" | "backend" | "backup"): Promise<string>;
  /** SQL in the stack's own database, over its container's socket. */
  sql(text: string): Promise<string>;
  /** Loses the machine: containers, volumes, backups and Pulumi's state. The configuration stays. */
  loseEverything(): Promise<void>;
  /** Removes everything, the volumes too. */
  remove(): Promise<void>;
}

/** A stack that is created with one of them has services, or containers on other engines, which only a destroy finds. */
const MORE_THAN_CONTAINERS = ["replicaHosts", "backends"] as const;
const VOLUMES = ["postgres-data", "object-store-data", "backup-records", "backups"] as const;

/**
 * A stack that is configured and not yet up. It has no object store and takes no backups by itself unless `settings` say so.
 * @param environment added to what Pulumi and `npx budgie` run with
 */
export async function createStack(
  settings: Record<string, string> = {},
  environment: NodeJS.ProcessEnv = {},
): Promise<TestStack> {
  const id = randomBytes(3).toString("hex");
  const [name, prefix] = [`test${id}`, `budgie-test-${id}`];
  let called = name;
  const folder = await mkdtemp(join(tmpdir(), `${prefix}-`));
  const [stateFolder, backupDir, configFile] = [
    join(folder, "state"),
    join(folder, "backups"),
    join(folder, "Pulumi.yaml"),
  ];
  const port = await freePort();
  await mkdir(stateFolder);
  await mkdir(backupDir, { mode: 0o700 });
  await chmod(backupDir, 0o700);
  const all = {
    namePrefix: prefix,
    databaseName: "budgie_dev",
    httpPort: String(port),
    backupDir,
    ...(environment.DOCKER_HOST ? { engineHost: environment.DOCKER_HOST } : {}),
    objectStore: "none",
    backupSchedule: "",
    ...settings,
  };
  await writeFile(
    configFile,
    ["config:", ...Object.entries(all).map(([k, v]) => `  budgie:${k}: ${JSON.stringify(v)}`), ""].join("\n"),
  );
  const variables: NodeJS.ProcessEnv = {
    ...(await toolchainEnvironment()),
    PULUMI_BACKEND_URL: `file://${stateFolder}`,
    PULUMI_CONFIG_PASSPHRASE: "of a test",
    // Makes the CLI accept --event-log.
    PULUMI_DEBUG_COMMANDS: "true",
    ...environment,
  };
  const engine = await findEngine(environment.DOCKER_HOST);
  const docker = engineClient(engine.host);

  const run = async (
    file: string,
    args: readonly string[],
    input?: Buffer,
    more: NodeJS.ProcessEnv = {},
  ): Promise<CommandResult> => {
    const result = await execa(file, args, {
      env: { ...variables, ...more },
      reject: false,
      all: true,
      ...(input ? { input } : { stdin: "ignore" as const }),
    });
    return { code: result.exitCode ?? 1, stdout: result.stdout, stderr: result.stderr, all: result.all };
  };
  const argumentsFor = (...args: string[]) => [
    ...args,
    "--stack",
    called,
    "--non-interactive",
    ...(needsConfig(args) ? ["--config-file", configFile] : []),
  ];
  const pulumi = (...args: string[]) => run("pulumi", argumentsFor(...args));
  const succeed = async (what: string, running: Promise<CommandResult>) => {
    const result = await running;
    if (result.code !== 0) throw new Error(`${what} failed with exit code ${result.code}:\n${result.all}`);
    return result;
  };
  const containerId = async (service: string) =>
    (await docker.getContainer(`${prefix}-${service}`).inspect()).Id;

  const init = async () => {
    await succeed(
      "pulumi stack init",
      run("pulumi", ["stack", "init", name, "--no-select", "--non-interactive"]),
    );
    // Written beside the program, with nothing in it but a salt that the state has too.
    await rm(`Pulumi.${name}.yaml`, { force: true });
  };
  const removeFromEngine = async () => {
    const containers = await docker.listContainers({ all: true, filters: { name: [`${prefix}-`] } });
    await Promise.all(
      containers.map(async ({ Id: id }) => {
        // Podman lets a container take its time even when it is removed by force.
        await docker
          .getContainer(id)
          .kill()
          .catch(() => undefined);
        await docker.getContainer(id).remove({ force: true, v: true }).catch(ignoreMissing);
      }),
    );
    for (const volume of VOLUMES) await docker.getVolume(`${prefix}-${volume}`).remove().catch(ignoreMissing);
    await docker.getNetwork(`${prefix}-network`).remove().catch(ignoreMissing);
  };

  await init();
  return {
    name,
    prefix,
    url: `http://127.0.0.1:${port}`,
    backupDir: all.backupDir,
    configFile,
    stateFolder,
    docker,
    pulumi,
    invocation: (...args) => ({ args: argumentsFor(...args), env: variables }),
    rename: async to => {
      await succeed("pulumi stack rename", pulumi("stack", "rename", to));
      called = to;
      await rm(`Pulumi.${to}.yaml`, { force: true });
    },
    recover: () =>
      run("node", ["toolchain/run.mjs", "recover", "--stack", called, "--config-file", configFile]),
    up: () => succeed("pulumi up", pulumi("up", "--yes", "--skip-preview")),
    destroy: () => succeed("pulumi destroy", pulumi("destroy", "--yes", "--skip-preview")),
    requireNoChange: async () => {
      await succeed("The second preview", pulumi("preview", "--refresh", "--expect-no-changes", "--diff"));
    },
    set: async (setting, value, options) => {
      await succeed(
        "pulumi config set",
        run(
          "pulumi",
          [
            "config",
            "set",
            `budgie:${setting}`,
            "--stack",
            called,
            "--config-file",
            configFile,
            "--non-interactive",
            ...(options?.secret ? ["--secret"] : []),
          ],
          Buffer.from(value),
        ),
      );
    },
    budgie: (args, options) =>
      run("node", ["scripts/budgie.mjs", "--stack", name, ...args], options?.input, options?.environment),
    containerId,
    logs: async service =>
      (
        await docker.getContainer(`${prefix}-${service}`).logs({ stdout: true, stderr: true, follow: false })
      ).toString(),
    sql: async text => {
      const result = await run(
        "node",
        ["scripts/budgie.mjs", "--stack", name, "psql", "--", "-XAtc", text],
        Buffer.alloc(0),
      );
      if (result.code !== 0) throw new Error(`psql failed:\n${result.all}`);
      return result.stdout.trim();
    },
    loseEverything: async () => {
      await removeFromEngine();
      for (const folder of [stateFolder, backupDir]) {
        await rm(folder, { recursive: true });
        await mkdir(folder, { mode: 0o700 });
      }
      await init();
    },
    remove: async () => {
      if (MORE_THAN_CONTAINERS.some(setting => setting in settings)) {
        variables.BUDGIE_SKIP_BACKUP = "1";
        await pulumi("destroy", "--yes", "--skip-preview");
      }
      await removeFromEngine();
      const tags = (await listImages(docker)).flatMap(image => image.RepoTags ?? []);
      for (const tag of tags.filter(tag => tag.includes(`${prefix}-`))) {
        await docker.getImage(tag).remove({ force: true }).catch(ignoreMissing);
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function needsConfig([command]: readonly string[]): boolean {
  return ["up", "preview", "destroy", "refresh"].includes(command ?? "");
}

/** Docker's list fails when an image is removed meanwhile, as by another stack that is being removed. */
async function listImages(docker: Docker, tries = 5): Promise<Docker.ImageInfo[]> {
  try {
    return await docker.listImages();
  } catch (error) {
    if (tries === 1 || !/unrecognized image ID/.test((error as Error).message)) throw error;
    return listImages(docker, tries - 1);
  }
}

function ignoreMissing(error: { statusCode?: number }): void {
  if (error.statusCode !== 404) throw error;
}
