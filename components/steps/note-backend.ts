import type Docker from "dockerode";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { agentCommand, containerName } from "../../shared/names.ts";

/**
 * Tells the agent which image the API runs, for the manifests of later backups. Returns what there is to say of it: that it could not be
 * told is no reason for an `up` to fail, because nothing depends on it.
 */
export async function noteBackend(client: Docker, backend: Docker.Container): Promise<string> {
  try {
    const { Image: id, Config: made } = await backend.inspect();
    return await noteImage(client, id, made.Labels[LABEL.prefix] ?? "", made.Image);
  } catch (error) {
    return notNoted((error as Error).message);
  }
}

/** The same of an image by its id. @param asked how it was asked for, where it has no name */
export async function noteImage(client: Docker, id: string, namePrefix: string, asked = id): Promise<string> {
  try {
    const { RepoDigests: digests, RepoTags: tags } = await client.getImage(id).inspect();
    const digest = digests?.[0]?.split("@")[1] ?? id;
    const agent = client.getContainer(containerName(namePrefix, "backup-agent"));
    const note = agentCommand("note-backend", tags?.[0] ?? asked, digest);
    const { code, stderr } = await collectFromContainer(agent, note);
    return code === EXIT.done ? "" : notNoted(stderr.trim());
  } catch (error) {
    return notNoted((error as Error).message);
  }
}

function notNoted(why: string): string {
  return ` Which image it runs is not noted: ${why}`;
}
