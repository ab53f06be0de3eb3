import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { containerName, type Role } from "../../shared/names.ts";
import type { StackState } from "./stack-state.ts";

/** The images that the stack builds. Each new content has a name of its own, and Pulumi is told to leave the old ones. */
const BUILT: readonly [resource: string, role: Role][] = [
  ["backup-agent-image", "backup-agent"],
  ["backend-image", "backend"],
];
/** The one that runs, and the one to go back to. */
const KEPT = 2;

/**
 * REMOVES the names of images that older deploys of this stack have left: all but the newest two of each kind. What a container uses, running
 * or not, and what the state names, stays. An image holds no data. Never throws: what the engine refuses
 * to remove stays, and the next `up` tries again.
 */
export async function removeOldImages(engine: Engine, state: StackState, namePrefix: string): Promise<void> {
  const client = engineClient(engine.host);
  for (const [resource, role] of BUILT) {
    const current = state.resource("docker:index/remoteImage:RemoteImage", resource)?.outputs.name;
    const names = await namesNewestFirst(client, containerName(namePrefix, role)).catch(() => []);
    for (const name of names.slice(KEPT)) {
      if (name === current) continue;
      // Without force the engine refuses for an image that a container uses.
      await client
        .getImage(name)
        .remove()
        .catch(() => undefined);
    }
  }
}

async function namesNewestFirst(client: Docker, repository: string): Promise<string[]> {
  const own = new RegExp(`^(?:localhost/)?${repository}:[0-9a-f]{12}$`);
  const listed = (await client.listImages()).flatMap(({ RepoTags: tags }) => tags ?? []);
  const found = await Promise.all(
    listed
      .filter(name => own.test(name))
      .map(async name => ({ name, made: (await unlessMissing(client.getImage(name).inspect()))?.Created })),
  );
  return found
    .filter(({ made }) => made !== undefined)
    .sort((a, b) => Date.parse(b.made as string) - Date.parse(a.made as string))
    .map(({ name }) => name);
}
