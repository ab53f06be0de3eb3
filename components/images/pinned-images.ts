import { readFileSync } from "node:fs";
import { join } from "node:path";
import { engineClient } from "../../engine/client.ts";
import { spelling } from "../../engine/differences.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { LABEL } from "../../shared/labels.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";

/** The file with the images that the stack begins with, relative to the project folder. */
export const IMAGES_FILE = "images/Dockerfile";

/** What to say for an image, by its name with the tag: `postgres@sha256:…` for `postgres:16-alpine`. */
export type PinnedImages = ReadonlyMap<string, string>;

/** `FROM name:tag` or `FROM name:tag@sha256:…`. */
const FROM = /^FROM ([^\s@]+)(?:@(sha256:[0-9a-f]{64}))?$/gm;

/** Each image of such a file, and its digest where it is pinned. */
export function imagesIn(text: string): { name: string; digest: string | undefined }[] {
  return [...text.matchAll(FROM)].map(([, name = "", digest]) => ({ name, digest }));
}

/** The file with these digests, by the images' names with their tags. */
export function withDigests(text: string, digests: ReadonlyMap<string, string>): string {
  return text.replace(FROM, (line, name: string) => {
    const digest = digests.get(name);
    return digest ? `FROM ${name}@${digest}` : line;
  });
}

/**
 * The pinned images, as the engine finds them. A stand-in has no digest that a registry knows, and stays until the operator
 * removes it: the official PostgreSQL sorts text otherwise, and its indexes on the same volume would be wrong.
 */
export async function pinnedImages(engine: Engine, text = imagesFile()): Promise<PinnedImages> {
  const pinned = imagesIn(text).filter(({ digest }) => digest);
  if (pinned.length === 0) return new Map();
  const official = await Promise.all(
    pinned.map(async image => ((await isStandIn(engine, image.name)) ? [] : [image])),
  );
  return new Map(
    official
      .flat()
      .map(({ name, digest }) => [name, spelling(engine.kind).image(`${withoutTag(name)}@${digest}`)]),
  );
}

/** A Dockerfile whose images are the pinned ones. */
export function withPinnedImages(dockerfile: string, pins: PinnedImages): string {
  return dockerfile.replace(
    /^(FROM )(\S+)/gm,
    (_, from: string, name: string) => from + (pins.get(name) ?? name),
  );
}

function imagesFile(): string {
  return readFileSync(join(PROJECT_FOLDER, IMAGES_FILE), "utf8");
}

/** Asked of each image: Docker's list of them fails as a whole when one is removed meanwhile. */
async function isStandIn(engine: Engine, name: string): Promise<boolean> {
  if (!engine.reachable) return false;
  const image = engineClient(engine.host).getImage(spelling("podman").image(name));
  return (await unlessMissing(image.inspect()))?.Config.Labels?.[LABEL.standIn] === "true";
}

function withoutTag(name: string): string {
  return name.replace(/:[^:/]+$/, "");
}
