import type Docker from "dockerode";
import { LABEL } from "../shared/labels.ts";
import { containerName, databaseVolumeName } from "../shared/names.ts";
import { unlessMissing } from "./unless-missing.ts";

/** A container that has a volume mounted, by its name or by its folder on the engine's machine. */
export interface VolumeUser {
  name: string;
  image: string;
  /** `Up 3 hours`, as the engine shows it. */
  state: string;
  labels: Record<string, string>;
}

/** What does not run and does not start by itself harms no one. */
const AT_WORK: readonly string[] = ["running", "restarting", "paused"];

/**
 * Every container of the engine that mounts the volume and is at work. PostgreSQL's own lock, a file with a process id, does not
 * tell two servers of two containers apart: each has process ids of its own. Throws when the engine does not say.
 */
export async function volumeUsers(client: Docker, volume: string): Promise<VolumeUser[]> {
  const folder = (await unlessMissing(client.getVolume(volume).inspect()))?.Mountpoint;
  const mounts = async (id: string) => {
    // The list of one of the engines says nothing of mounts but where they are in the container.
    const made = await unlessMissing(client.getContainer(id).inspect());
    return (made?.Mounts ?? []).some(
      mount => mount.Name === volume || (folder !== undefined && mount.Source === folder),
    );
  };
  const atWork = (await client.listContainers({ all: true })).filter(({ State: state }) =>
    AT_WORK.includes(state),
  );
  const found = await Promise.all(atWork.map(async listed => ((await mounts(listed.Id)) ? [listed] : [])));
  return found.flat().map(({ Id: id, Names: [name = id], Image: image, Status: state, Labels: labels }) => ({
    name: name.replace(/^\//, ""),
    image,
    state,
    labels: labels ?? {},
  }));
}

/** Who else is at work on the volume of a stack's database. Two servers there destroy the data, so nobody may be. */
export async function otherServers(client: Docker, namePrefix: string): Promise<VolumeUser[]> {
  const own = containerName(namePrefix, "database");
  const users = await volumeUsers(client, databaseVolumeName(namePrefix));
  return users.filter(({ name, labels }) => name !== own || labels[LABEL.prefix] !== namePrefix);
}
