// A step of `pulumi up`: brings the stack's containers into its network. A network that was removed and made again has no
// members. Pulumi sees nothing to change in a container, which is in a network of that name as before. Joining needs no
// restart.

import type Docker from "dockerode";
import { engineClient } from "../engine/client.ts";
import { LABEL, labelledAs } from "../shared/labels.ts";
import { runStep } from "./steps/main.ts";

interface Input {
  engine: string;
  namePrefix: string;
  /** The network's name; and its id, which is another one when it was made again. */
  name: string;
  network: string;
}

const DEADLINE_SECONDS = 120;

await runStep<Input>(DEADLINE_SECONDS, async ({ engine, namePrefix, name, network }) => {
  const client = engineClient(engine);
  const label = [labelledAs(LABEL.prefix, namePrefix), LABEL.role];
  const joined: string[] = [];
  for (const { Id: id } of await client.listContainers({ all: true, filters: { label } })) {
    const container = client.getContainer(id);
    const { Name: shown, NetworkSettings: settings } = await container.inspect();
    // Podman gives the name for an id: what it lists is a network of now.
    const { NetworkID: member } = settings.Networks[name] ?? {};
    if (member === network || member === name) continue;
    await join(client.getNetwork(name), container.id, name in settings.Networks);
    joined.push(shown.replace(/^\//, ""));
  }
  return joined.length === 0 ? `All are in ${name}.` : `Brought into ${name}: ${joined.join(", ")}.`;
});

/** A container that was stopped while its network went away still names the old one, and could not start. */
async function join(network: Docker.Network, container: string, namesOld: boolean): Promise<void> {
  if (namesOld) await network.disconnect({ Container: container, Force: true }).catch(() => undefined);
  await network.connect({ Container: container });
}
