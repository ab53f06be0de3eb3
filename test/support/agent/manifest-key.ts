import { writeFile } from "node:fs/promises";
import { manifestKey, signed } from "../../../agent/manifest/mac.ts";
import type { Manifest } from "../../../agent/manifest/manifest.ts";

/** The key of every test's agent, unless it plays another stack. */
export const TEST_KEY = "of the tests, and of nobody else: 0123456789";

/** The manifest as the agent would have written it, whatever a test put into it. */
export function signedManifest(manifest: Manifest, key = TEST_KEY): Manifest {
  return signed(manifestKey(Buffer.from(key)), manifest);
}

/** Writes a manifest with a valid signature. */
export async function writeSigned(path: string, manifest: Manifest): Promise<void> {
  await writeFile(path, JSON.stringify(signedManifest(manifest)));
}
