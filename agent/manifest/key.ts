import { readFile } from "node:fs/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { lostSecretFile } from "../base/secret-files.ts";
import { type ManifestKey, manifestKey } from "./mac.ts";

/** 32 random bytes in base64 are longer, so a shorter key was cut off. */
const SHORTEST_BYTES = 32;

/** The stack's own key. Throws a Stop when it is not there: then nobody knows which manifests are this stack's. */
export async function readManifestKey({
  manifestKeyFile,
}: Pick<AgentSettings, "manifestKeyFile">): Promise<ManifestKey> {
  const text = await readFile(manifestKeyFile, "utf8").catch((error: Error) => {
    throw lostSecretFile(manifestKeyFile) ?? unusable(`cannot be read: ${error.message}`);
  });
  const secret = Buffer.from(text.trim());
  if (secret.length < SHORTEST_BYTES)
    throw unusable(`cannot be used: ${manifestKeyFile} is empty or was cut off`);
  return manifestKey(secret);
}

function unusable(what: string): Stop {
  return new Stop(
    EXIT.failed,
    `The key that the manifests of the backups are signed with ${what}.`,
    "Run `npm run pulumi -- up`, which gives it to the agent.",
  );
}
