import { createReadStream } from "node:fs";
import { chmod, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import type Docker from "dockerode";
import { execa } from "execa";
import { type Engine, engineClient } from "../components/engine.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { installed, isDebian } from "./container-engine.ts";
import { projectFolder } from "./project.ts";
import { runLogged } from "./run-tool.ts";
import { say, step, ToolchainError } from "./say.ts";

/** What `FROM` and the stack name, and the folder under images/ whose stand-in replaces it without a registry. */
export const baseImages = [
  { name: "postgres:16-alpine", recipe: "postgres", tools: ["mvn", "python3", "strip"] },
  { name: "node:24-alpine", recipe: "node", tools: ["npm"] },
];
type BaseImage = (typeof baseImages)[number];

/** The label of every stand-in; its value is the key of what it was built from. */
export const STAND_IN_LABEL = "budgie.stand-in";
const STAND_IN_KEY_LABEL = "budgie.stand-in-key";

/** How long a registry may stay silent before it counts as out of reach. */
const REGISTRY_SILENCE_MS = 10_000;

const imagesFolder = join(projectFolder, "toolchain", "images");

export type ImageOrigin = "official" | "stand-in";

/** Whether the engine has every base image, and none that an older recipe made. Cheap. */
export async function presentBaseImages(engine: Engine): Promise<Record<string, ImageOrigin> | undefined> {
  const docker = engineClient(engine.host);
  const origins: Record<string, ImageOrigin> = {};
  for (const image of baseImages) {
    const present = await presentImage(docker, image);
    if (present === "none" || present === "outdated stand-in") return undefined;
    origins[image.name] = present;
  }
  return origins;
}

/**
 * Sees to it that the engine has the base images: there already, else pulled, else assembled. A stand-in stays one even
 * when a registry answers later: the official PostgreSQL sorts text differently, and on a volume that the stand-in made
 * its indexes would be wrong without a word. The operator decides that, with a backup (docs/toolchain.md).
 */
export async function ensureBaseImages(engine: Engine): Promise<Record<string, ImageOrigin>> {
  const docker = engineClient(engine.host);
  const origins: Record<string, ImageOrigin> = {};
  let registryAnswers = true;
  for (const image of baseImages) {
    let present = await presentImage(docker, image);
    if (present === "none" && registryAnswers) {
      registryAnswers = await pull(docker, image);
      if (registryAnswers) present = "official";
    }
    if (present === "none" || present === "outdated stand-in") await assemble(docker, image);
    origins[image.name] = present === "official" ? "official" : "stand-in";
  }
  return origins;
}

async function presentImage(
  docker: Docker,
  image: BaseImage,
): Promise<ImageOrigin | "outdated stand-in" | "none"> {
  const labels = await imageLabels(docker, fullName(image));
  if (!labels) return "none";
  if (labels[STAND_IN_LABEL] !== "true") return "official";
  return labels[STAND_IN_KEY_LABEL] === (await recipeKey(image)) ? "stand-in" : "outdated stand-in";
}

async function imageLabels(docker: Docker, name: string): Promise<Record<string, string> | undefined> {
  try {
    return (await docker.getImage(name).inspect()).Config.Labels ?? {};
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

/** Docker knows `postgres:16-alpine` under this name as well, and Podman under no other. */
function fullName(image: BaseImage): string {
  return `docker.io/library/${image.name}`;
}

function recipeKey(image: BaseImage): Promise<string> {
  return contentKey([join(imagesFolder, image.recipe), join(imagesFolder, "base-rootfs.sh")]);
}

/** Whether it could be pulled. No failure of a registry is an error here: the stand-in is for those. */
async function pull(docker: Docker, image: BaseImage): Promise<boolean> {
  try {
    const answer = await withDeadline(docker.pull(fullName(image)), REGISTRY_SILENCE_MS);
    await step(`Pulling ${image.name}`, () => readToEnd(docker, answer as Readable, REGISTRY_SILENCE_MS * 6));
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    say(
      `No registry to pull ${image.name} from (${reason}): assembling the base images from packages instead.`,
    );
    return false;
  }
}

function withDeadline<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer in time")), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Reads an answer of the engine that reports progress, until it ends; an error in it, or silence, throws. */
async function readToEnd(docker: Docker, answer: Readable, silence: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const silent = () => answer.destroy(new Error("no answer in time"));
    let timer = setTimeout(silent, silence);
    answer.on("error", reject);
    const progress = () => {
      clearTimeout(timer);
      timer = setTimeout(silent, silence);
    };
    docker.modem.followProgress(
      answer,
      (error, events: { error?: string }[]) => {
        clearTimeout(timer);
        const failure = error?.message ?? events.find(event => event.error)?.error;
        if (failure) reject(new Error(failure));
        else resolve();
      },
      progress,
    );
  });
}

async function assemble(docker: Docker, image: BaseImage): Promise<void> {
  await step(`Assembling ${image.name} from packages`, async () => {
    const key = await recipeKey(image);
    const folder = await builtOnce(`image-${image.recipe}`, key, unfinished =>
      makeContext(image, unfinished),
    );
    const context = createReadStream(join(folder, "context.tar"));
    const answer = await docker.buildImage(context, {
      t: fullName(image),
      labels: { [STAND_IN_LABEL]: "true", [STAND_IN_KEY_LABEL]: key },
      rm: true,
      forcerm: true,
    });
    await readToEnd(docker, answer as Readable, 10 * 60_000);
    await finished(context);
  });
}

/** Makes the build context, a tar of the Dockerfile and root.tar: what is kept, so that a second engine takes seconds. */
async function makeContext(image: BaseImage, folder: string): Promise<void> {
  await requireTools(image);
  const recipe = join(imagesFolder, image.recipe);
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
    await runLogged(`image-${image.recipe}`, join(recipe, "rootfs.sh"), [root, work]);
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
  await copyFile(join(recipe, "Dockerfile"), join(context, "Dockerfile"));
  await execa("tar", ["-cf", join(folder, "context.tar.new"), ...owned, "-C", context, "."]);
  await rename(join(folder, "context.tar.new"), join(folder, "context.tar"));
  for (const path of [root, work, context]) await rm(path, { recursive: true, force: true });
}

async function requireTools(image: BaseImage): Promise<void> {
  const needed = ["tar", "dpkg", ...image.tools];
  const missing: string[] = [];
  for (const tool of needed) if (!(await installed(tool))) missing.push(tool);
  const elsewhere = process.arch !== "x64" || !(await isDebian());
  if (!elsewhere && missing.length === 0) return;
  throw new ToolchainError(
    `${image.name} is not here, no registry answers, and it cannot be assembled on this machine ` +
      `(${elsewhere ? "that takes Debian or Ubuntu on x86-64" : `missing: ${missing.join(", ")}`}). ` +
      `Load it (docker load), let this machine reach a registry${elsewhere ? "" : ", or install what is missing"}, ` +
      "and run the same command again.",
  );
}
