import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_FOLDER } from "./project-folder.ts";

/**
 * The version of this project, as package.json has it. It changes with a release. A description by git would change with every commit,
 * and with it the agent's container; and a copy without `.git` has none.
 */
export function stackVersion(): string {
  const { version } = JSON.parse(readFileSync(join(PROJECT_FOLDER, "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
