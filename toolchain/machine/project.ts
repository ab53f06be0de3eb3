import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";

/** The version of an installed npm package, as "5.2.0". */
export function packageVersion(name: string): string {
  const manifest = readFileSync(join(PROJECT_FOLDER, "node_modules", name, "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
