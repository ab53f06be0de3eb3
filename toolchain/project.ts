import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds Pulumi.yaml. */
export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** The version of an installed npm package, as "5.2.0". */
export function packageVersion(name: string): string {
  const manifest = readFileSync(join(projectFolder, "node_modules", name, "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
