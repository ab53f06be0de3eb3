// Before the network of the backends is removed: takes the database's container out of it. The database serves on; a network with a member
// cannot be removed.

import { engineClient } from "../engine/client.ts";
import { runStep } from "./steps/main.ts";

interface Input {
  engine: string;
  network: string;
  container: string;
}

const DEADLINE_SECONDS = 60;

await runStep<Input>(DEADLINE_SECONDS, async ({ engine, network, container }) => {
  const joined = engineClient(engine).getNetwork(network);
  try {
    await joined.disconnect({ Container: container, Force: true });
    return "The database has left the network of the backends.";
  } catch (error) {
    const { statusCode, message } = error as Error & { statusCode?: number };
    // The container or the network is gone, or the one is not in the other.
    if (statusCode === 404 || /is not connected/.test(message)) return "The database was not in the network.";
    throw error;
  }
});
