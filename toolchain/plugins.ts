import { existsSync } from "node:fs";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { officialSiteAnswers } from "./official-site.ts";
import { packageVersion, projectFolder } from "./project.ts";
import { executableOf, type PulumiCli, pathWith } from "./pulumi-cli.ts";
import { ownHome, standInHome } from "./pulumi-home.ts";
import { runLogged } from "./run-tool.ts";
import { sayWarning, step } from "./say.ts";

/** The AWS plugin is a download of some 200 MB. */
const INSTALL_MS = 15 * 60_000;

export interface Plugin {
  name: string;
  version: string;
  origin: "official" | "stand-in";
}

export interface Plugins {
  plugins: Plugin[];
  /** PULUMI_HOME, if it must be another than the user's own. */
  home?: string;
  /** The plugins' executables. */
  files: string[];
}

const wanted = [
  { name: "docker", build: dockerPlugin },
  { name: "command", build: (version: string) => bundledPlugin("command", version) },
  { name: "aws", build: (version: string) => bundledPlugin("aws", version) },
];

/**
 * The plugins that the project's packages name: installed the official way, else built here. Does not wait for the CLI
 * before it is needed.
 */
export async function resourcePlugins(pendingCli: Promise<PulumiCli>): Promise<Plugins> {
  const found = await Promise.all(
    wanted.map(async ({ name, build }) => {
      const version = packageVersion(`@pulumi/${name}`);
      const official = await installOfficial(pendingCli, name, version);
      const origin: Plugin["origin"] = official ? "official" : "stand-in";
      return { plugin: { name, version, origin }, file: official ?? (await build(version)) };
    }),
  );
  const plugins = found.map(({ plugin }) => plugin);
  const cli = await pendingCli;
  if (cli.origin !== "stand-in" && plugins.every(({ origin }) => origin === "official")) {
    return { plugins, files: found.map(({ file }) => file) };
  }
  const files = found.map(({ plugin }) => executable(standInHome, plugin.name, plugin.version));
  for (const [index, { file }] of found.entries()) await put(file, files[index] as string);
  return { plugins, home: standInHome, files };
}

function executable(home: string, name: string, version: string): string {
  return join(home, "plugins", `resource-${name}-v${version}`, `pulumi-resource-${name}`);
}

async function installOfficial(
  pendingCli: Promise<PulumiCli>,
  name: string,
  version: string,
): Promise<string | undefined> {
  const file = executable(ownHome(), name, version);
  if (existsSync(file)) return file;
  if (!(await officialSiteAnswers())) return undefined;
  const cli = await pendingCli;
  try {
    await step(`Installing the plugin ${name} ${version}`, () =>
      runLogged(`plugin-${name}`, executableOf(cli), ["plugin", "install", "resource", name, version], {
        env: { PATH: pathWith(cli), PULUMI_HOME: ownHome(), PULUMI_SKIP_UPDATE_CHECK: "true" },
        timeout: INSTALL_MS,
      }),
    );
    return existsSync(file) ? file : undefined;
  } catch (error) {
    sayWarning(
      `The plugin ${name} could not be installed. ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  }
}

/** Links an executable in place; what is there is replaced by one rename, so a running engine never misses it. */
async function put(target: string, path: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  const fresh = `${path}.${process.pid}`;
  await rm(fresh, { force: true });
  await symlink(target, fresh);
  await rename(fresh, path);
}

async function dockerPlugin(version: string): Promise<string> {
  const key = await contentKey([join(projectFolder, "toolchain", "docker-plugin")], version, process.arch);
  const folder = await builtOnce("docker-plugin", key, unfinished =>
    step("Building the Docker plugin from its sources (about 5 minutes on two cores)", () =>
      goBuild("docker-plugin", ".", join(unfinished, "pulumi-resource-docker"), { "main.version": version }),
    ),
  );
  return join(folder, "pulumi-resource-docker");
}

/** One file that Node runs, so that it works for every copy of the project and after this one is gone. */
async function bundledPlugin(name: string, version: string): Promise<string> {
  const toolchain = join(projectFolder, "toolchain");
  const source = join(toolchain, `${name}-plugin`);
  const shared = [join(toolchain, "provider.ts"), join(toolchain, "provider-protocol.ts")];
  const lock = join(projectFolder, "package-lock.json");
  const key = await contentKey([source, ...shared, lock], version);
  const file = `pulumi-resource-${name}`;
  const folder = await builtOnce(`${name}-plugin`, key, async unfinished => {
    const bundle = await build({
      entryPoints: [join(source, "main.ts")],
      bundle: true,
      platform: "node",
      target: "node20",
      format: "cjs",
      banner: { js: "#!/usr/bin/env node" },
      define: { PLUGIN_VERSION: JSON.stringify(version) },
      write: false,
      logLevel: "error",
    });
    await writeFile(join(unfinished, file), bundle.outputFiles[0]?.text ?? "", { mode: 0o755 });
  });
  return join(folder, file);
}
