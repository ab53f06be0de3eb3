import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { LABEL, labelledAs } from "../../shared/labels.ts";

/** Says which other stack has containers of this prefix on the engine: the two would take each other's volume. */
export async function namePrefixProblem(
  engine: Engine,
  namePrefix: string,
  stack: string,
): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const label = [labelledAs(LABEL.prefix, namePrefix), LABEL.role];
  const containers = await engineClient(engine.host).listContainers({ all: true, filters: { label } });
  const other = containers.find(({ Labels: labels }) => labels[LABEL.stack] !== stack);
  if (!other) return undefined;
  return [
    `The name prefix ${namePrefix} belongs to the stack ${other.Labels[LABEL.stack]} on this container engine. Nothing was changed.`,
    `Give stack ${stack} another one:`,
    `  npm run pulumi -- config set budgie:namePrefix budgie-${stack.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`,
  ].join("\n");
}
