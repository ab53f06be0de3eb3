import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import { engineClient } from "../../engine/client.ts";
import { spelling } from "../../engine/differences.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { LABEL } from "../../shared/labels.ts";

/** An image of a registry as the last `up` left it in the state. */
export interface KnownImage {
  /** As the engine was asked for it. */
  name: string;
  imageId: string | undefined;
  triggers: Record<string, string> | undefined;
}

/** What to declare as `triggers` of an image of a registry, by the resource's name; nothing for any other. */
export type ImageTriggers = ReadonlyMap<string, Record<string, string>>;

/**
 * Compares what the state knows with what the engine has now. The provider never looks again at a name that it has pulled
 * once; so a newer image, which the operator has pulled, is told by a trigger, and its resource and container are replaced.
 * As long as the name means the image that the state knows, the trigger stays as it was: no `up` after that shows a change,
 * and neither does the first one after this was introduced.
 */
export async function imageTriggers(
  engine: Engine,
  known: ReadonlyMap<string, KnownImage>,
): Promise<ImageTriggers> {
  const entries = await Promise.all(
    [...known].map(async ([resource, image]) => {
      const found = engine.reachable ? await idNow(engine, image.name) : undefined;
      const moved = found !== undefined && image.imageId !== undefined && idOf(image.imageId) !== found;
      const triggers = moved ? { image: found } : image.triggers;
      return triggers ? [[resource, triggers] as const] : [];
    }),
  );
  return new Map(entries.flat());
}

/** An image of a registry: the one that the engine has, else pulled. It stays when its resource goes. */
export function pulledImage(
  resource: string,
  name: string,
  triggers: ImageTriggers,
  on: { parent: pulumi.Resource; provider?: docker.Provider },
): docker.RemoteImage {
  const known = triggers.get(resource);
  return new docker.RemoteImage(
    resource,
    { name, keepLocally: true, ...(known ? { triggers: known } : {}) },
    on,
  );
}

/**
 * Says so when the database's name means an official image now, and the state's was a stand-in, or the other way round. They
 * sort text differently: on the same volume the indexes would be wrong without a word.
 */
export async function otherLibraryProblem(
  engine: Engine,
  database: KnownImage | undefined,
): Promise<string | undefined> {
  if (!engine.reachable || !database?.imageId) return undefined;
  const client = engineClient(engine.host);
  const labelsOf = async (name: string) => {
    const image = await unlessMissing(client.getImage(name).inspect());
    return image && image.Config.Labels?.[LABEL.standIn] === "true";
  };
  const [was, is] = await Promise.all([
    labelsOf(database.imageId),
    labelsOf(spelling("podman").image(database.name)),
  ]);
  if (was === undefined || is === undefined || was === is) return undefined;
  const [old, fresh] = was ? ["a stand-in", "the official image"] : ["the official image", "a stand-in"];
  return [
    `${database.name} means ${fresh} now, and the database was made by ${old}. The two sort text differently, so its indexes would be wrong. Nothing was changed.`,
    "Give the name back:",
    `  ${engine.kind} tag ${idOf(database.imageId)} ${database.name}`,
    "or change over with a backup, as docs/toolchain.md says.",
  ].join("\n");
}

async function idNow(engine: Engine, name: string): Promise<string | undefined> {
  const image = engineClient(engine.host).getImage(spelling("podman").image(name));
  const found = await unlessMissing(image.inspect());
  return found && idOf(found.Id);
}

function idOf(id: string): string {
  return id.replace(/^sha256:/, "");
}
