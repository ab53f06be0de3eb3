import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import { spelling } from "../../engine/differences.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { DEFAULT_MAJOR_VERSION, databaseImage, MAJOR_VERSIONS } from "../../shared/database-image.ts";
import { LABEL } from "../../shared/labels.ts";
import { pull } from "./image-pull.ts";
import { assemble, type Recipe, recipeKey } from "./image-stand-in.ts";
import { minioServer, minioSources } from "./minio.ts";
import type { Needs } from "./needs.ts";

interface BaseImage {
  /** As in a Dockerfile's `FROM` and as the stack names it. */
  name: string;
  /** What takes its place without a registry. */
  recipe: Recipe;
  /** What makes a stack need it, where not every stack does. */
  neededFor?: (needs: Needs) => boolean;
}

const baseImages: BaseImage[] = [
  {
    name: databaseImage(DEFAULT_MAJOR_VERSION),
    recipe: { folder: "postgres", tools: ["mvn", "python3", "strip"] },
  },
  ...MAJOR_VERSIONS.filter(version => version !== DEFAULT_MAJOR_VERSION).map(version => ({
    name: databaseImage(version),
    neededFor: ({ postgres }: Needs) => postgres.includes(version),
    recipe: {
      folder: `postgres-${version}`,
      tools: ["mvn", "python3", "strip"],
      shares: ["postgres-newer.sh", "postgres/docker-entrypoint.sh"],
    },
  })),
  { name: "node:24-alpine", recipe: { folder: "node", tools: ["npm"] } },
  {
    // The object store of a stack without a cloud account.
    name: "pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
    neededFor: ({ localStore }) => localStore,
    recipe: {
      folder: "object-store",
      tools: ["go"],
      program: { sources: minioSources, build: minioServer },
    },
  },
];

export type ImageOrigin = "official" | "stand-in";

/** Whether the engine has every base image, and none that an older recipe made. Cheap. */
export async function presentBaseImages(
  engine: Engine,
  needs: Needs,
): Promise<Record<string, ImageOrigin> | undefined> {
  const docker = engineClient(engine.host);
  const origins: Record<string, ImageOrigin> = {};
  for (const image of needed(needs)) {
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
export async function ensureBaseImages(engine: Engine, needs: Needs): Promise<Record<string, ImageOrigin>> {
  const docker = engineClient(engine.host);
  const origins: Record<string, ImageOrigin> = {};
  const missing: BaseImage[] = [];
  let registryAnswers = true;
  for (const image of needed(needs)) {
    let present = await presentImage(docker, image);
    if (present === "none" && registryAnswers) {
      registryAnswers = await pull(docker, fullName(image));
      if (registryAnswers) present = "official";
    }
    if (present === "none" || present === "outdated stand-in") missing.push(image);
    origins[image.name] = present === "official" ? "official" : "stand-in";
  }
  await assembleAll(docker, missing);
  return origins;
}

function needed(needs: Needs): BaseImage[] {
  return baseImages.filter(({ neededFor }) => neededFor?.(needs) ?? true);
}

/** One after the other, because apt-get works alone; what one of them must build first is built meanwhile. */
async function assembleAll(docker: Docker, images: BaseImage[]): Promise<void> {
  const programs = images.map(({ recipe }) => recipe.program?.build());
  const assembling = async () => {
    for (const [index, image] of images.entries()) {
      await assemble(docker, fullName(image), image.recipe, await programs[index]);
    }
  };
  await Promise.all([...programs, assembling()]);
}

async function presentImage(
  docker: Docker,
  image: BaseImage,
): Promise<ImageOrigin | "outdated stand-in" | "none"> {
  const labels = await imageLabels(docker, fullName(image));
  if (!labels) return "none";
  if (labels[LABEL.standIn] !== "true") return "official";
  return labels[LABEL.standInKey] === (await recipeKey(image.recipe)) ? "stand-in" : "outdated stand-in";
}

async function imageLabels(docker: Docker, name: string): Promise<Record<string, string> | undefined> {
  const image = await unlessMissing(docker.getImage(name).inspect());
  return image && (image.Config.Labels ?? {});
}

/** Docker knows `postgres:16-alpine` as `docker.io/library/postgres:16-alpine` as well, and Podman under no other name. */
function fullName({ name }: BaseImage): string {
  return spelling("podman").image(name);
}
