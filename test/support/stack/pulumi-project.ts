import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";
import { toolchainEnvironment } from "../../../toolchain/machine/environment.ts";
import { packageVersion } from "../../../toolchain/machine/project.ts";

export interface CommandResult {
  code: number;
  /** Standard output and standard error. */
  all: string;
  stdout: string;
}

/** A stack of a throw-away project, with its state beside its program. */
export interface TestProject {
  folder: string;
  /** Runs the real CLI in the project; never throws. `env` is added to what the program and the plugins see. */
  pulumi(args: string[], env?: Record<string, string>): Promise<CommandResult>;
  /** `pulumi up`; throws all that was printed when it fails. */
  up(env?: Record<string, string>): Promise<CommandResult>;
  /** A preview after a refresh; throws all that was printed when that shows any change. */
  requireNoChange(env?: Record<string, string>): Promise<void>;
  /** A resource's inputs, outputs and id in the state, by its logical name. */
  resource(
    name: string,
  ): Promise<{ id?: string; inputs: Record<string, unknown>; outputs: Record<string, unknown> }>;
  /** Everything under the state's folder, as one text. */
  stateText(): Promise<string>;
  /** Removes the folder, but nothing that the program made. */
  remove(): Promise<void>;
}

/** A project with one program and an empty stack `test`. @param plugin the package @pulumi/PLUGIN that the program uses */
export async function pulumiProject(plugin: string, program: string): Promise<TestProject> {
  const folder = await mkdtemp(join(tmpdir(), `budgie-test-project-`));
  const name = `@pulumi/${plugin}`;
  await symlink(join(PROJECT_FOLDER, "node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ type: "module", dependencies: { [name]: packageVersion(name) } }),
  );
  await writeFile(join(folder, "index.ts"), program);
  await mkdir(join(folder, "state"));
  await writeFile(
    join(folder, "Pulumi.yaml"),
    'name: plugin-test\nmain: index.ts\nruntime: {name: nodejs, options: {typescript: false, nodeargs: "--import tsx"}}\n' +
      'backend: {url: "file://./state"}\n',
  );
  const own = { ...(await toolchainEnvironment()), PULUMI_CONFIG_PASSPHRASE: "only a test's" };

  const pulumi = async (args: string[], env: Record<string, string> = {}) => {
    const result = await execa("pulumi", [...args, "--non-interactive"], {
      cwd: folder,
      env: { ...own, ...env },
      reject: false,
      all: true,
    });
    return { code: result.exitCode ?? 1, all: result.all, stdout: result.stdout };
  };
  const succeed = async (args: string[], env?: Record<string, string>) => {
    const result = await pulumi(args, env);
    if (result.code !== 0) throw new Error(`pulumi ${args.join(" ")} failed:\n${result.all}`);
    return result;
  };
  await succeed(["stack", "init", "test"]);
  return {
    folder,
    pulumi,
    up: env => succeed(["up", "--yes", "--skip-preview"], env),
    requireNoChange: async env => {
      await succeed(["preview", "--refresh", "--expect-no-changes", "--diff"], env);
    },
    resource: async wanted => {
      const { deployment } = JSON.parse((await succeed(["stack", "export"])).stdout) as {
        deployment: {
          resources: {
            urn: string;
            id?: string;
            inputs?: Record<string, unknown>;
            outputs?: Record<string, unknown>;
          }[];
        };
      };
      const found = deployment.resources.find(({ urn }) => urn.endsWith(`::${wanted}`));
      if (!found) throw new Error(`The state has no ${wanted}.`);
      const { id, inputs = {}, outputs = {} } = found;
      return { inputs, outputs, ...(id ? { id } : {}) };
    },
    stateText: async () => {
      const files = await readdir(join(folder, "state"), { recursive: true, withFileTypes: true });
      const texts = files
        .filter(file => file.isFile())
        .map(file => readFile(join(file.parentPath, file.name), "utf8"));
      return (await Promise.all(texts)).join("\n");
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
