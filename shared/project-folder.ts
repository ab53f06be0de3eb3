import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** Where Pulumi.yaml is. Relative paths in settings begin here. */
export const PROJECT_FOLDER = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Whether Pulumi runs its commands in this folder. It runs them in the folder of the program, and that is another one where the program is
 * somebody else's, which uses the project as a package: docs/component.md.
 */
export const COMMANDS_RUN_HERE = realpathSync(process.cwd()) === realpathSync(PROJECT_FOLDER);

/** Where `npm run up` has the state, in that folder. Pulumi.yaml says the same. */
export const STATE_FOLDER = ".pulumi-state";
