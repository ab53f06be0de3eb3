import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { ensureBaseImages, presentBaseImages } from "./base-images.ts";
import { cacheFolder, contentKey } from "./cache.ts";
import { containerEngine, type RunningEngine } from "./container-engine.ts";
import { EVERYTHING, type Needs } from "./needs.ts";
import { type Plugins, resourcePlugins } from "./plugins.ts";
import { executableOf, folderOnPath, type PulumiCli, pathWith, pulumiCli } from "./pulumi-cli.ts";
import { ownHome } from "./pulumi-home.ts";
import { say } from "./say.ts";

interface Tools {
  cli: PulumiCli;
  plugins: Plugins;
}

/**
 * Sees to it that everything is there that `pulumi up` needs (the engine running, the CLI, the plugins, the base images)
 * and gives the variables that it runs with. What was set up before is only looked at. Says which way each part came,
 * when something was set up or `report` is true. Throws with what to do when a part cannot be had.
 * @param options.needs what only some stacks need
 */
export async function toolchainEnvironment({
  report = false,
  needs = EVERYTHING,
} = {}): Promise<NodeJS.ProcessEnv> {
  const engine = await containerEngine();
  const [rememberedTools, presentImages] = await Promise.all([
    remembered(needs),
    presentBaseImages(engine, needs),
  ]);
  // The builds do not depend on each other, and downloads of one fill the pauses of another.
  const [tools, images] = await Promise.all([
    rememberedTools ?? setUpTools(needs),
    presentImages ?? ensureBaseImages(engine, needs),
  ]);
  if (report || !rememberedTools || !presentImages) sayOrigins(engine, tools, images);
  return { ...process.env, ...variables(engine, tools) };
}

/** The same without a container engine, for what works without one: a preview, and a look at the settings. */
export async function previewEnvironment(needs = EVERYTHING): Promise<NodeJS.ProcessEnv> {
  return { ...process.env, ...variables(undefined, await tools(needs)) };
}

/** What a shell needs beyond what it has, for plain `pulumi`. */
export async function shellVariables(needs: Needs): Promise<Record<string, string>> {
  const engine = await containerEngine();
  return variables(engine, await tools(needs));
}

async function tools(needs: Needs): Promise<Tools> {
  return (await remembered(needs)) ?? setUpTools(needs);
}

function variables(engine: RunningEngine | undefined, { cli, plugins }: Tools): Record<string, string> {
  const own: Record<string, string> = {
    PATH: pathWith(cli),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // The program's packages name every plugin that some stack uses. The engine gets what a stack really uses when it does.
    PULUMI_OPTION_SKIP_PLUGIN_PRE_INSTALL: "true",
    // The stack files are committed without a salt (see stack-file.ts); the state has it.
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
  };
  if (plugins.home) {
    own.PULUMI_HOME = plugins.home;
    // The engine would ask a site out of reach for what it already has.
    own.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
  }
  if (engine && !engine.isDefault) own.DOCKER_HOST = engine.host;
  if (!process.env.PULUMI_CONFIG_PASSPHRASE && !process.env.PULUMI_CONFIG_PASSPHRASE_FILE) {
    own.PULUMI_CONFIG_PASSPHRASE_FILE = join(PROJECT_FOLDER, ".passphrase");
  }
  return own;
}

async function setUpTools(needs: Needs): Promise<Tools> {
  const pendingCli = pulumiCli();
  const names = ["docker", "command", ...(needs.aws ? ["aws" as const] : [])] as const;
  const [cli, plugins] = await Promise.all([pendingCli, resourcePlugins(pendingCli, names)]);
  const tools = { cli, plugins };
  const stamp = await stampFile(needs);
  await mkdir(dirname(stamp), { recursive: true });
  await writeFile(`${stamp}.${process.pid}`, JSON.stringify(tools));
  await rename(`${stamp}.${process.pid}`, stamp);
  return tools;
}

/** What an earlier run set up from the same sources for the same user, if its files are all still there. */
async function remembered(needs: Needs): Promise<Tools | undefined> {
  const text = await readFile(await stampFile(needs), "utf8").catch(() => undefined);
  if (!text) return undefined;
  const tools = JSON.parse(text) as Tools;
  return [executableOf(tools.cli), ...tools.plugins.files].every(file => existsSync(file))
    ? tools
    : undefined;
}

async function stampFile({ aws }: Needs): Promise<string> {
  const sources = [join(PROJECT_FOLDER, "toolchain"), join(PROJECT_FOLDER, "package-lock.json")];
  const key = await contentKey(sources, (await folderOnPath()) ?? "", ownHome(), process.arch, String(aws));
  return join(cacheFolder, "stamps", `${key}.json`);
}

function sayOrigins(engine: RunningEngine, { cli, plugins }: Tools, images: Record<string, string>): void {
  say(`Container engine: ${engine.kind} at ${engine.host}`);
  say(`Pulumi CLI ${cli.version}: ${cli.origin === "yours" ? `yours, ${cli.folder}` : cli.origin}`);
  for (const { name, version, origin } of plugins.plugins) say(`Plugin ${name} ${version}: ${origin}`);
  for (const [name, origin] of Object.entries(images)) say(`Image ${name}: ${origin}`);
}
