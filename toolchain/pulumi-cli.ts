import { existsSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { builtOnce, cacheFolder, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { officialSiteAnswers } from "./official-site.ts";
import { packageVersion, projectFolder } from "./project.ts";
import { ownHome } from "./pulumi-home.ts";
import { runLogged } from "./run-tool.ts";
import { sayWarning, step } from "./say.ts";

/** The version that is downloaded or built. */
const VERSION = "3.256.0";
const DOWNLOAD_MS = 5 * 60_000;

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

/** By npm's package `pulumi`, which puts the official release where Pulumi's own tools look for it. */
async function downloaded(): Promise<PulumiCli | undefined> {
  const folder = join(ownHome(), "versions", VERSION, "bin");
  if (existsSync(join(folder, "pulumi"))) return inFolder(folder, "official");
  if (!(await officialSiteAnswers())) return undefined;
  try {
    await step(`Downloading the Pulumi CLI ${VERSION}`, () =>
      runLogged("pulumi-cli-download", "npx", ["--yes", `pulumi@${VERSION}`, "version"], {
        timeout: DOWNLOAD_MS,
        env: { PULUMI_HOME: ownHome(), PULUMI_SKIP_UPDATE_CHECK: "true" },
      }),
    );
    return await inFolder(folder, "official");
  } catch (error) {
    sayWarning(`The Pulumi CLI could not be downloaded. ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

async function built(): Promise<PulumiCli> {
  // This file too: which programs it builds, and under which names, is part of what the folder holds.
  const sources = ["pulumi-cli", "language-host", "pulumi-cli.ts"].map(name =>
    join(projectFolder, "toolchain", name),
  );
  const key = await contentKey(sources, VERSION, process.arch);
  const folder = await builtOnce("pulumi-cli", key, unfinished =>
    step("Building the Pulumi CLI from its sources (about 8 minutes on two cores)", async () => {
      await goBuild("pulumi-cli", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", join(unfinished, "pulumi"), {
        "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": `v${VERSION}`,
      });
      const host = "pulumi-language-nodejs";
      const source = `github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/${host}`;
      await goBuild("language-host", source, join(unfinished, `${host}-host`));
      await goBuild("language-host", ".", join(unfinished, host));
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
