import { engineClient } from "../../engine/client.ts";
import { stopLine } from "../../engine/stop-line.ts";
import { volumeUsers } from "../../engine/volume-users.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { containerName, databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";

/**
 * Throws a Stop while any container is at work on the volume of the stack's database, or on another one: what is read there would not be
 * whole.
 */
export async function requireIdleVolume(
  { engine, prefix }: Stack,
  volume = databaseVolumeName(prefix),
): Promise<void> {
  const users = await volumeUsers(engineClient(engine.host), volume);
  if (users.length === 0) return;
  const names = users.map(({ name }) => name);
  // Budgie's compose file calls its container by the same name.
  const own = users.every(
    ({ name, labels }) => name === containerName(prefix, "database") && labels[LABEL.prefix] === prefix,
  );
  throw new Stop(
    EXIT.busy,
    `A container is at work on the volume ${volume}: ${names.join(" ")}. Nothing was done.`,
    `Stop it, then run the same command again: ${own ? "npx budgie stop db" : stopLine(engine.kind, names)}`,
  );
}
