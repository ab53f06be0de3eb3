import { type Engine, engineClient } from "./engine.ts";
import type { RememberedData } from "./known-data.ts";
import { unlessMissing } from "./unless-missing.ts";

/**
 * Says so when the volume that holds the stack's data is not on its engine. Made again it would be empty, and nothing but the
 * missing rows would tell. Only for the engine that the data is on.
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
    "  pulumi up --refresh",
    "If it is lost: begin with an empty one, and put the last backup into it:",
    `  pulumi state delete '${urn}'     # forgets the lost volume`,
    "  pulumi up --refresh     # stops before the API writes, when there are backups",
    "  npx budgie restore latest     # or: restore latest --from s3",
    "  pulumi up",
  ].join("\n");
}
