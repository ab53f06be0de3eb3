import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { containerName } from "../../shared/names.ts";
import type { StackState } from "./stack-state.ts";

/** The images that the stack builds, and the container that runs on each. */
const BUILT = [
  ["backup-agent-image", "backup-agent"],
  ["backend-image", "backend"],
] as const;

/**
 * Says so when an image that the stack built has lost its name to another one. A refresh would take that one for the new
 * content, and put the container on it. The image of a registry may change under its name: that is how it stays current.
 */
export async function retaggedImageProblem(
  engine: Engine,
  state: StackState,
  namePrefix: string,
): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const client = engineClient(engine.host);
  for (const [resource, role] of BUILT) {
    const { name, build } = state.resource("docker:index/remoteImage:RemoteImage", resource)?.outputs ?? {};
    if (typeof name !== "string" || !build) continue;
    const container = containerName(namePrefix, role);
    const lost = await imageThatLost(client, name, container);
    if (!lost) continue;
    return [
      `The name ${name} means another image than the one that the stack built and that ${container} runs on. Nothing was changed.`,
      "Give it back:",
      `  ${engine.kind} tag ${lost} ${name}`,
      "  npm run pulumi -- up --refresh",
    ].join("\n");
  }
  return undefined;
}

/** The id of the container's image, when `name` means another one and it no longer has any name of its own. */
async function imageThatLost(client: Docker, name: string, container: string): Promise<string | undefined> {
  const made = await unlessMissing(client.getContainer(container).inspect());
  const named = await unlessMissing(client.getImage(name).inspect());
  if (!made || !named || idOf(named.Id) === idOf(made.Image)) return undefined;
  const own = await unlessMissing(client.getImage(made.Image).inspect());
  const repository = name.slice(0, name.lastIndexOf(":") + 1);
  // After an `up` that was cut off the name is the next image's, and the container's has the name that it was built under.
  return own && !(own.RepoTags ?? []).some(tag => tag.startsWith(repository)) ? idOf(own.Id) : undefined;
}

function idOf(image: string): string {
  return image.replace(/^sha256:/, "");
}
