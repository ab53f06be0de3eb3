import {
  DEFAULT_MAJOR_VERSION,
  databaseImage,
  dataFolderVariables,
  MAJOR_VERSIONS,
  type MajorVersion,
} from "../../../shared/database-image.ts";

/** Of PostgreSQL, in tests beside one. `POSTGRES_MAJOR=18` runs them on another: `npm run setup` does not make its image. */
const MAJOR = process.env.POSTGRES_MAJOR ?? DEFAULT_MAJOR_VERSION;
if (!(MAJOR_VERSIONS as readonly string[]).includes(MAJOR))
  throw new Error(`POSTGRES_MAJOR is ${MAJOR}, and the stack knows ${MAJOR_VERSIONS.join(", ")}`);

export const TEST_IMAGE = databaseImage(MAJOR as MajorVersion);
export const TEST_VARIABLES = dataFolderVariables(MAJOR as MajorVersion);
