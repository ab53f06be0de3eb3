import { createReadStream } from "node:fs";
import { chmod, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import type Docker from "dockerode";
import { execa } from "execa";
import { LABEL } from "../../shared/labels.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { installed, isDebian } from "./container-engine.ts";
import { readToEnd } from "./image-pull.ts";
import { runLogged } from "./run-tool.ts";
import { step, ToolchainError } from "./say.ts";

/** How an image is assembled from packages. */
export interface Recipe {
  /** The folder under images/ that holds `rootfs.sh` and the Dockerfile. */
  folder: string;
  /** The programs that `rootfs.sh` calls. */
  tools: string[];
  /** What it is made from beside that folder, under images/. */
  shares?: string[];
  /** A program to put into the image: what it is built from, and how; `rootfs.sh` gets its path as a third argument. */
  program?: { sources: string; build: () => Promise<string> };
}

const imagesFolder = join(PROJECT_FOLDER, "toolchain", "images");
const BUILD_SILENCE_MS = 10 * 60_000;

export function recipeKey({ folder, shares = [], program }: Recipe): Promise<string> {
  const sources = [folder, "base-rootfs.sh", ...shares].map(name => join(imagesFolder, name));
  return contentKey([...sources, ...(program ? [program.sources] : [])]);
}

/** Assembles the image on the engine, where it gets both labels. `program` is the recipe's, built. */
export async function assemble(
  docker: Docker,
  fullName: string,
  recipe: Recipe,
  program?: string,
): Promise<void> {
  await step(`Assembling ${fullName} from packages`, async () => {
    const key = await recipeKey(recipe);
    const folder = await builtOnce(`image-${recipe.folder}`, key, async unfinished => {
      await requireTools(fullName, recipe);
      await makeContext(recipe, program ? [program] : [], unfinished);
    });
    const context = createReadStream(join(folder, "context.tar"));
    const answer = await docker.buildImage(context, {
      t: fullName,
      labels: { [LABEL.standIn]: "true", [LABEL.standInKey]: key },
      rm: true,
      forcerm: true,
    });
    await readToEnd(docker, answer as Readable, BUILD_SILENCE_MS);
    await finished(context);
  });
}

/** Makes the build context, a tar of the Dockerfile and root.tar: what is kept, so that a second engine takes seconds. */
async function makeContext(recipe: Recipe, programs: string[], folder: string): Promise<void> {
  const source = join(imagesFolder, recipe.folder);
  const [root, work, context] = ["root", "work", "context"].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const fill = async () => {
    for (const path of [root, work, context]) {
      await rm(path, { recursive: true, force: true });
      await mkdir(path);
    }
    await runLogged(`image-${recipe.folder}`, join(source, "rootfs.sh"), [root, work, ...programs]);
  };
  try {
    await fill();
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    // Package lists that are missing or out of date are the usual reason.
    await runLogged("apt-get-update", "apt-get", ["update"]);
    await fill();
  }
  await chmod(root, 0o755);
  const owned = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name"];
  await execa("tar", ["-cf", join(context, "root.tar"), ...owned, "-C", root, "."]);
  await copyFile(join(source, "Dockerfile"), join(context, "Dockerfile"));
  await execa("tar", ["-cf", join(folder, "context.tar.new"), ...owned, "-C", context, "."]);
  await rename(join(folder, "context.tar.new"), join(folder, "context.tar"));
  for (const path of [root, work, context]) await rm(path, { recursive: true, force: true });
}

async function requireTools(fullName: string, recipe: Recipe): Promise<void> {
  const needed = ["tar", "dpkg", ...recipe.tools];
  const missing: string[] = [];
  for (const tool of needed) if (!(await installed(tool))) missing.push(tool);
  const elsewhere = process.arch !== "x64" || !(await isDebian());
  if (!elsewhere && missing.length === 0) return;
  throw new ToolchainError(
    `${fullName} is not here, no registry answers, and it cannot be assembled on this machine ` +
      `(${elsewhere ? "that takes Debian or Ubuntu on x86-64" : `missing: ${missing.join(", ")}`}). ` +
      `Load it (docker load), let this machine reach a registry${elsewhere ? "" : ", or install what is missing"}, ` +
      "and run the same command again.",
  );
}
