import type Docker from "dockerode";
import { LABEL } from "../shared/labels.ts";
import { databaseVolumeName } from "../shared/names.ts";
import { UPGRADE_VARIABLE } from "../shared/upgrade.ts";

/**
 * The volume in which an upgrade that this `up` belongs to keeps all of the old data; undefined where it belongs to none. Only
 * `npx budgie upgrade` sets the variable, after it has compared the two byte for byte.
 */
export async function upgradeVolume(
  client: Docker,
  namePrefix: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const upgrade = env[UPGRADE_VARIABLE];
  if (!upgrade) return undefined;
  const { Volumes: all } = await client.listVolumes();
  const kept = (all ?? []).filter(
    ({ Labels: labels }) =>
      labels?.[LABEL.keptAside] === databaseVolumeName(namePrefix) && labels[LABEL.upgrade] === upgrade,
  );
  return kept.at(-1)?.Name;
}
