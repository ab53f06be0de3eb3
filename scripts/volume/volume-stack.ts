import { engineClient } from "../../engine/client.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import { choose, reachableEngine, type Stack, stacksOf } from "../stack/stack-containers.ts";

/**
 * The stack that `wanted` names, or the only one, by its containers or by its volumes: after a `destroy` the volumes are all that is
 * left of it. A volume that the stack took over from another tool has no labels; then `wanted` is the prefix of its name.
 * Throws a Stop as `findStack` does.
 */
export async function findStackOfVolumes(wanted: string | undefined): Promise<Stack> {
  const engine = await reachableEngine();
  const client = engineClient(engine.host);
  const stacks = await stacksOf(engine);
  const known = new Set(stacks.map(({ prefix }) => prefix));
  const { Volumes: volumes } = await client.listVolumes();
  for (const { Labels: labels } of volumes ?? []) {
    const { [LABEL.stack]: name, [LABEL.prefix]: prefix } = labels ?? {};
    if (!name || !prefix || known.has(prefix)) continue;
    stacks.push({ name, prefix, engine, containers: [] });
    known.add(prefix);
  }
  const isNamed = stacks.some(({ name, prefix }) => name === wanted || prefix === wanted);
  if (wanted && !isNamed && (await unlessMissing(client.getVolume(databaseVolumeName(wanted)).inspect())))
    return { name: wanted, prefix: wanted, engine, containers: [] };
  return choose(stacks, wanted);
}

const VOLUME_NAME = /^(.+)-postgres-data$/;

/** The stack whose database's volume has this name, of which nothing need be there yet. Throws a Stop for a name that no stack has. */
export async function stackOfVolumeNamed(volume: string): Promise<Stack> {
  const prefix = VOLUME_NAME.exec(volume)?.[1];
  if (prefix === undefined) {
    throw new Stop(
      EXIT.usage,
      `${volume} is no name of a stack's volume: it would be budgie:namePrefix and then -postgres-data.`,
      "See the prefix of the stack: npm run pulumi -- config get budgie:namePrefix",
    );
  }
  const engine = await reachableEngine();
  const known = (await stacksOf(engine)).find(stack => stack.prefix === prefix);
  return known ?? { name: prefix, prefix, engine, containers: [] };
}
