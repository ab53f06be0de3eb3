// A step of `pulumi up`: brings the database's container into the network of the backends. It joins while it runs and serves, so having
// several backends replaces no database. A container that took its place, or a network that was made again, has the step run again.

import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { engineClient } from "../engine/client.ts";
import { runStep } from "./steps/main.ts";

interface Input {
  engine: string;
  /** The network's name; and its id, which is another one when it was made again. */
  name: string;
  network: string;
  /** Of the database. */
  container: string;
}

const DEADLINE_SECONDS = 120;

await runStep<Input>(DEADLINE_SECONDS, async ({ engine, name, network, container }, until) => {
  const client = engineClient(engine);
  for (;;) {
    const { Name: shown, NetworkSettings: settings } = await client.getContainer(container).inspect();
    const member = settings.Networks[name];
    const database = shown.replace(/^\//, "");
    if (member?.NetworkID === network) return `${database} is in ${name}.`;
    try {
      await join(client, { name, network, container, namesOld: member !== undefined });
      return `${database} was brought into ${name}.`;
    } catch (error) {
      // The swarm gives an attachment twenty seconds, which a machine that is starting other things does not always have.
      if ((error as { statusCode?: number }).statusCode !== 500 || Date.now() > until) throw error;
      await sleep(1000);
    }
  }
});

interface Joining {
  name: string;
  network: string;
  container: string;
  /** Whether it names one of that name that is gone. */
  namesOld: boolean;
}

async function join(client: Docker, { name, network, container, namesOld }: Joining): Promise<void> {
  if (namesOld)
    await client
      .getNetwork(name)
      .disconnect({ Container: container, Force: true })
      .catch(() => undefined);
  await client.getNetwork(network).connect({ Container: container });
}
