import { COMMANDS_RUN_HERE, PROJECT_FOLDER } from "../../shared/project-folder.ts";

/**
 * Where the command provider is to run a program of this project. Nothing is said where it does so anyway, so that the state holds no path
 * of this machine. In somebody else's program the path is that of the package, and another copy of the package means another path.
 */
export const programPlace: { dir?: string } = COMMANDS_RUN_HERE ? {} : { dir: PROJECT_FOLDER };
