// A step of `pulumi up`: brings the database's container into the network of the backends. It joins while it runs and serves, so having
// several backends replaces no database. A container that took its place, or a network that was made again, has the step run again.

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

await runStep<Input>(DEADLINE_SECONDS, async ({ engine, name, network, container }) => {
  const client = engineClient(engine);
  const { Name: shown, NetworkSettings: settings } = await client.getContainer(container).inspect();
  const member = settings.Networks[name];
  const database = shown.replace(/^\//, "");
  if (member?.NetworkID === network) return `${database} is in ${name}.`;
  const joined = client.getNetwork(network);
  // One of that name that is gone.
  if (member)
    await client
      .getNetwork(name)
      .disconnect({ Container: container, Force: true })
      .catch(() => undefined);
  await joined.connect({ Container: container });
  return `${database} was brought into ${name}.`;
});
