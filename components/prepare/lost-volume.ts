import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import type { RememberedData } from "./known-data.ts";

/**
 * Says so when the volume with the stack's data is not on its engine. Pulumi would make an empty one, and only the
 * missing rows would tell. To be asked of the engine that the data is on.
 */
export async function lostVolumeProblem(
  engine: Engine,
  { data: { volume }, urn }: RememberedData,
  stack: string,
): Promise<string | undefined> {
  if (await unlessMissing(engineClient(engine.host).getVolume(volume).inspect())) return undefined;
  return [
    `The volume ${volume}, with the data of stack ${stack}, is not on the container engine at ${engine.host} any more. Nothing was changed, and no new one was made.`,
    "If you have it elsewhere, bring it back under this name, and then:",
    "  npm run pulumi -- up --refresh",
    "If it is lost: begin with an empty one, and put the last backup into it:",
    `  npm run pulumi -- state delete '${urn}'     # forgets the lost volume`,
    "  npm run pulumi -- up --refresh     # stops before the API writes, when there are backups",
    "  npx budgie restore latest     # or: restore latest --from s3",
    "  npm run pulumi -- up",
  ].join("\n");
}
