import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ensureBaseImages, presentBaseImages } from "./base-images.ts";
import { cacheFolder, contentKey } from "./cache.ts";
import { containerEngine, type RunningEngine } from "./container-engine.ts";
import { type Plugins, resourcePlugins } from "./plugins.ts";
import { projectFolder } from "./project.ts";
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
 */
export async function toolchainEnvironment({ report = false } = {}): Promise<NodeJS.ProcessEnv> {
  const engine = await containerEngine();
  const [rememberedTools, presentImages] = await Promise.all([remembered(), presentBaseImages(engine)]);
  // The builds do not depend on each other, and downloads of one fill the pauses of another.
  const [tools, images] = await Promise.all([
    rememberedTools ?? setUpTools(),
    presentImages ?? ensureBaseImages(engine),
  ]);
  if (report || !rememberedTools || !presentImages) sayOrigins(engine, tools, images);
  return { ...process.env, ...variables(engine, tools) };
}

/** The same without a container engine, for what works without one: a preview, and a look at the settings. */
export async function previewEnvironment(): Promise<NodeJS.ProcessEnv> {
  return { ...process.env, ...variables(undefined, (await remembered()) ?? (await setUpTools())) };
}

/** What a shell needs beyond what it has, for plain `pulumi`. */
export async function shellVariables(): Promise<Record<string, string>> {
  const engine = await containerEngine();
  return variables(engine, (await remembered()) ?? (await setUpTools()));
}

function variables(engine: RunningEngine | undefined, { cli, plugins }: Tools): Record<string, string> {
  const own: Record<string, string> = {
    PATH: pathWith(cli),
    PULUMI_SKIP_UPDATE_CHECK: "true",
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
    own.PULUMI_CONFIG_PASSPHRASE_FILE = join(projectFolder, ".passphrase");
  }
  return own;
}

async function setUpTools(): Promise<Tools> {
  const pendingCli = pulumiCli();
  const [cli, plugins] = await Promise.all([pendingCli, resourcePlugins(pendingCli)]);
  const tools = { cli, plugins };
  const stamp = await stampFile();
  await mkdir(dirname(stamp), { recursive: true });
  await writeFile(`${stamp}.${process.pid}`, JSON.stringify(tools));
  await rename(`${stamp}.${process.pid}`, stamp);
  return tools;
}

/** What an earlier run set up from the same sources for the same user, if its files are all still there. */
async function remembered(): Promise<Tools | undefined> {
  const text = await readFile(await stampFile(), "utf8").catch(() => undefined);
  if (!text) return undefined;
  const tools = JSON.parse(text) as Tools;
  return [executableOf(tools.cli), ...tools.plugins.files].every(file => existsSync(file))
    ? tools
    : undefined;
}

async function stampFile(): Promise<string> {
  const sources = [join(projectFolder, "toolchain"), join(projectFolder, "package-lock.json")];
  const key = await contentKey(sources, (await folderOnPath()) ?? "", ownHome(), process.arch);
  return join(cacheFolder, "stamps", `${key}.json`);
}

function sayOrigins(engine: RunningEngine, { cli, plugins }: Tools, images: Record<string, string>): void {
  say(`Container engine: ${engine.kind} at ${engine.host}`);
  say(`Pulumi CLI ${cli.version}: ${cli.origin === "yours" ? `yours, ${cli.folder}` : cli.origin}`);
  for (const { name, version, origin } of plugins.plugins) say(`Plugin ${name} ${version}: ${origin}`);
  for (const [name, origin] of Object.entries(images)) say(`Image ${name}: ${origin}`);
}
