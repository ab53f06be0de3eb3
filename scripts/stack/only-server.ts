import { engineClient } from "../../engine/client.ts";
import { stopLine } from "../../engine/stop-line.ts";
import { otherServers, type VolumeUser } from "../../engine/volume-users.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "./stack-containers.ts";

/** One sentence for each other container that is at work on the volume of the stack's database. Throws when the engine does not say. */
export async function otherServerProblems(stack: Stack): Promise<string[]> {
  return (await othersOn(stack)).map(
    ({ name, image, state }) =>
      `Another container is at work on the volume ${databaseVolumeName(stack.prefix)}: ${name} (${image}, ${state}). Two servers there destroy the data. Stop it at once: ${stopLine(stack.engine.kind, [name])}`,
  );
}

/** Throws a Stop where a server is already at work on the volume, before the stack's own is started beside it. */
export async function requireOnlyServer(stack: Stack): Promise<void> {
  const names = (await othersOn(stack)).map(({ name }) => name);
  if (names.length === 0) return;
  throw new Stop(
    EXIT.failed,
    `The database was not started: on its volume ${databaseVolumeName(stack.prefix)} another container is at work, ${names.join(" ")}. Two servers there destroy the data.`,
    `Stop the other first: ${stopLine(stack.engine.kind, names)}`,
  );
}

function othersOn({ engine, prefix }: Stack): Promise<VolumeUser[]> {
  return otherServers(engineClient(engine.host), prefix);
}
