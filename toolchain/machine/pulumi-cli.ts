import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, cacheFolder, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { installRelease } from "./official-release.ts";
import { packageVersion } from "./project.ts";
import { ownHome } from "./pulumi-home.ts";
import { sayWarning, step, ToolchainError } from "./say.ts";

/** The version that is downloaded or built. */
const VERSION = "3.256.0";
/** The language host's own name, which the engine looks for. */
const HOST = "pulumi-language-nodejs";
/** What is built of which module's folder. */
const PROGRAMS = [
  {
    module: "pulumi-cli",
    source: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    file: "pulumi",
    variables: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": `v${VERSION}` },
  },
  {
    module: "language-host",
    source: `github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/${HOST}`,
    file: `${HOST}-host`,
    variables: {},
  },
  { module: "language-host", source: ".", file: HOST, variables: {} },
];

export interface PulumiCli {
  /** Holds `pulumi` and `pulumi-language-nodejs`. */
  folder: string;
  version: string;
  origin: "yours" | "official" | "stand-in";
}

/**
 * The Pulumi CLI with its Node.js language host: one on PATH that is new enough for the project's SDK, else the official
 * download, else built from the Go module proxy.
 */
export async function pulumiCli(): Promise<PulumiCli> {
  return (await onPath()) ?? (await downloaded()) ?? (await built());
}

async function onPath(): Promise<PulumiCli | undefined> {
  const folder = await folderOnPath();
  const found = folder && (await inFolder(folder, "yours"));
  if (!found) return undefined;
  const wanted = packageVersion("@pulumi/pulumi");
  if (isAtLeast(found.version, wanted)) return found;
  sayWarning(
    `Your Pulumi CLI ${found.version} (${folder}) is older than the project's SDK ${wanted}: not used.`,
  );
  return undefined;
}

/** Where the user's own `pulumi` is, if there is one; the toolchain's may be on PATH as well. */
export async function folderOnPath(): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (!folder || folder.startsWith(cacheFolder)) continue;
    if (await isExecutable(join(folder, "pulumi"))) return folder;
  }
  return undefined;
}

async function inFolder(folder: string, origin: PulumiCli["origin"]): Promise<PulumiCli | undefined> {
  if (!(await isExecutable(join(folder, "pulumi-language-nodejs")))) return undefined;
  const { stdout, failed } = await execa(join(folder, "pulumi"), ["version"], {
    env: { PULUMI_SKIP_UPDATE_CHECK: "true" },
    timeout: 10_000,
    reject: false,
  });
  const version = /^v(\d+\.\d+\.\d+)/.exec(String(stdout ?? ""))?.[1];
  return failed || !version ? undefined : { folder, version, origin };
}

/**
 * Where Pulumi's own tools look for it. Its installer, which npm's package `pulumi` runs, needs curl; this needs nothing but
 * Node.
 */
async function downloaded(): Promise<PulumiCli | undefined> {
  const folder = join(ownHome(), "versions", VERSION, "bin");
  const there = await inFolder(folder, "official");
  if (there) return there;
  const archive = `pulumi-v${VERSION}-${process.platform}-${process.arch}.tar.gz`;
  const installed = await installRelease(folder, {
    what: `the Pulumi CLI ${VERSION}`,
    archive,
    address: site => site.cli(VERSION, archive),
    checksums: site => site.cli(VERSION, `pulumi-${VERSION}-checksums.txt`),
    strip: 1,
    otherwise: `Install the Pulumi CLI ${packageVersion("@pulumi/pulumi")} or newer yourself (https://www.pulumi.com/docs/install), put it on your PATH, and run the same command again.`,
  });
  if (!installed) return undefined;
  const cli = await inFolder(folder, "official");
  if (cli) return cli;
  throw new ToolchainError(
    `The Pulumi CLI in ${folder} was downloaded whole and does not run. See why: ${join(folder, "pulumi")} version`,
  );
}

async function built(): Promise<PulumiCli> {
  const modules = [...new Set(PROGRAMS.map(({ module }) => module))];
  const sources = modules.map(module => join(PROJECT_FOLDER, "toolchain", module));
  const key = await contentKey(sources, VERSION, process.arch, JSON.stringify(PROGRAMS));
  const folder = await builtOnce("pulumi-cli", key, unfinished =>
    step("Building the Pulumi CLI from its sources (about 8 minutes on two cores)", async () => {
      for (const { module, source, file, variables } of PROGRAMS) {
        await goBuild(module, source, join(unfinished, file), variables);
      }
    }),
  );
  return { folder, version: VERSION, origin: "stand-in" };
}

/** Whether `version` is `wanted` or newer, both as "3.248.0". */
export function isAtLeast(version: string, wanted: string): boolean {
  const [have, want] = [version, wanted].map(text => text.split(".").map(Number)) as [number[], number[]];
  for (const [index, part] of want.entries()) {
    const difference = (have[index] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** PATH with the CLI in front, unless it is found there anyway. */
export function pathWith(cli: PulumiCli, path = process.env.PATH ?? ""): string {
  return path.split(delimiter).includes(cli.folder) ? path : [cli.folder, path].join(delimiter);
}

/** The file that a warm run looks for. */
export function executableOf(cli: PulumiCli): string {
  return join(cli.folder, "pulumi");
}
