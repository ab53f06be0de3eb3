import { existsSync } from "node:fs";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { installRelease } from "./official-release.ts";
import { packageVersion } from "./project.ts";
import type { PulumiCli } from "./pulumi-cli.ts";
import { ownHome, standInHome } from "./pulumi-home.ts";
import { step } from "./say.ts";

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

const builds = {
  docker: dockerPlugin,
  command: (version: string) => bundledPlugin("command", version),
  aws: (version: string) => bundledPlugin("aws", version),
};

export type PluginName = keyof typeof builds;

/**
 * These plugins, in the versions that the project's packages name: downloaded, else built here. Does not wait for the CLI
 * before it is needed.
 */
export async function resourcePlugins(
  pendingCli: Promise<PulumiCli>,
  names: readonly PluginName[],
): Promise<Plugins> {
  const found = await Promise.all(
    names.map(async name => {
      const version = packageVersion(`@pulumi/${name}`);
      const official = await installOfficial(name, version);
      const origin: Plugin["origin"] = official ? "official" : "stand-in";
      return { plugin: { name, version, origin }, file: official ?? (await builds[name](version)) };
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

/** Where `pulumi plugin install` puts it; that command tells a limit, a missing file and a broken download in the same words. */
async function installOfficial(name: string, version: string): Promise<string | undefined> {
  const file = executable(ownHome(), name, version);
  const folder = dirname(file);
  // What Pulumi leaves beside a plugin whose installation was cut off.
  const cutOff = `${folder}.partial`;
  if (existsSync(file) && !existsSync(cutOff)) return file;
  const archive = `pulumi-resource-${name}-v${version}-${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}.tar.gz`;
  const installed = await installRelease(folder, {
    what: `the plugin ${name} ${version}`,
    archive,
    address: site => site.plugin(name, version, archive),
    strip: 0,
    otherwise: `Get ${archive} in another way, unpack it, and run the same command again:\n    mkdir -p ${folder} && tar -xzf ${archive} -C ${folder}`,
  });
  await rm(cutOff, { force: true });
  return installed && existsSync(file) ? file : undefined;
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
  const key = await contentKey([join(PROJECT_FOLDER, "toolchain", "docker-plugin")], version, process.arch);
  const folder = await builtOnce("docker-plugin", key, unfinished =>
    step("Building the Docker plugin from its sources (about 5 minutes on two cores)", () =>
      goBuild("docker-plugin", ".", join(unfinished, "pulumi-resource-docker"), { "main.version": version }),
    ),
  );
  return join(folder, "pulumi-resource-docker");
}

/** One file that Node runs, so that it works for every copy of the project and after this one is gone. */
async function bundledPlugin(name: string, version: string): Promise<string> {
  const standIns = join(PROJECT_FOLDER, "toolchain", "stand-ins");
  const source = join(standIns, `${name}-plugin`);
  const shared = ["provider.ts", "provider-protocol.ts"].map(file => join(standIns, file));
  const lock = join(PROJECT_FOLDER, "package-lock.json");
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
