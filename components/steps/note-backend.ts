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
    const { RepoDigests: digests, RepoTags: tags } = await client.getImage(id).inspect();
    const name = tags?.[0] ?? made.Image;
    const digest = digests?.[0]?.split("@")[1] ?? id;
    const agent = client.getContainer(containerName(made.Labels[LABEL.prefix] ?? "", "backup-agent"));
    const { code, stderr } = await collectFromContainer(agent, agentCommand("note-backend", name, digest));
    return code === EXIT.done ? "" : ` Which image it runs is not noted: ${stderr.trim()}`;
  } catch (error) {
    return ` Which image it runs is not noted: ${(error as Error).message}`;
  }
}
