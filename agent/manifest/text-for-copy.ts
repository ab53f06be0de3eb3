import { type ManifestKey, signed } from "./mac.ts";
import { type Manifest, manifestText } from "./manifest.ts";

/**
 * A copy's manifest. It leaves out what the manifest here says of copies, so that it is the same whenever it is sent. Only for a
 * manifest that is known to be authentic (`backupsToCopy`), because it is signed here.
 */
export function textForCopy(key: ManifestKey, manifest: Manifest): string {
  return manifestText(signed(key, { ...manifest, offsite: null, offsiteSsh: null }));
}
