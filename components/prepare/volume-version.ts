import { engineClient } from "../../engine/client.ts";
import { spelling } from "../../engine/differences.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { runOnVolumes } from "../../engine/run-on-volumes.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { DATA_FOLDER, databaseImage, MAJOR_VERSIONS } from "../../shared/database-image.ts";
import type { KnownData } from "./known-data.ts";

/**
 * Says so when the volume, of which the state remembers nothing, was written by another version of PostgreSQL than the settings name, as
 * after a `destroy`. Its server would end again and again. Without an image to look with it is left to that server, which changes nothing.
 */
export async function otherVersionProblem(
  engine: Engine,
  { volume, majorVersion }: KnownData,
): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const client = engineClient(engine.host);
  if (!(await unlessMissing(client.getVolume(volume).inspect()))) return undefined;
  const image = await presentImage(engine);
  if (image === undefined) return undefined;
  let version = "";
  const work = {
    name: `${volume}-version`,
    image,
    volumes: [{ volume, path: DATA_FOLDER, readOnly: true as const }],
    writes: false,
    script: `head -c 20 ${DATA_FOLDER}/PG_VERSION 2> /dev/null || true`,
    onOutput: (bytes: Buffer) => {
      version += bytes.toString();
    },
  };
  await runOnVolumes(client, work);
  const written = version.trim();
  if (written === "" || written === majorVersion) return undefined;
  return [
    `The volume ${volume} was written by PostgreSQL ${written}, and budgie:postgresVersion is ${majorVersion}. No version opens another one's files. Nothing was changed.`,
    "Bring the stack up with its own version, then upgrade it:",
    `  npm run pulumi -- config set budgie:postgresVersion ${written}`,
    "  npm run pulumi -- up",
    `  npm run pulumi -- config set budgie:postgresVersion ${majorVersion}`,
    "  npx budgie upgrade",
  ].join("\n");
}

export async function presentImage(engine: Engine): Promise<string | undefined> {
  for (const version of MAJOR_VERSIONS) {
    const name = spelling("podman").image(databaseImage(version));
    if (await unlessMissing(engineClient(engine.host).getImage(name).inspect())) return name;
  }
  return undefined;
}
