import type Docker from "dockerode";
import { type Engine, engineClient } from "./engine.ts";
import type { OwnState } from "./own-state.ts";
import { unlessMissing } from "./unless-missing.ts";

/** The images that the stack builds, and what the container is called that runs on each. */
const BUILT = [
  ["backup-agent-image", "backup"],
  ["backend-image", "backend"],
] as const;

/**
 * Says so when an image that the stack built has lost its name to another one: a refresh would take that for the new content,
 * and put the container on it. An image of a registry may change under its name; that is how it is kept current.
 */
export async function retaggedImageProblem(
  engine: Engine,
  state: OwnState,
  namePrefix: string,
): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const client = engineClient(engine.host);
  for (const [resource, service] of BUILT) {
    const { name, build } = state.resource("docker:index/remoteImage:RemoteImage", resource)?.outputs ?? {};
    if (typeof name !== "string" || !build) continue;
    const lost = await imageThatLost(client, name, `${namePrefix}-${service}`);
    if (!lost) continue;
    return [
      `The name ${name} means another image than the one that the stack built and that ${namePrefix}-${service} runs on. Nothing was changed.`,
      "Give it back:",
      `  ${engine.kind} tag ${lost} ${name}`,
      "  pulumi up --refresh",
    ].join("\n");
  }
  return undefined;
}

/** The id of the container's image, when `name` is another one's and it has no name of its content any more. */
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
