import {
  DEFAULT_MAJOR_VERSION,
  databaseImage,
  dataFolderVariables,
  MAJOR_VERSIONS,
  type MajorVersion,
} from "../../../shared/database-image.ts";

/** Of PostgreSQL, in tests beside one. `POSTGRES_MAJOR=18` runs them on another: `npm run setup` does not make its image. */
const given = process.env.POSTGRES_MAJOR ?? DEFAULT_MAJOR_VERSION;
const known = MAJOR_VERSIONS.find(version => version === given);
if (known === undefined)
  throw new Error(`POSTGRES_MAJOR is ${given}, and the stack knows ${MAJOR_VERSIONS.join(", ")}`);

export const TEST_MAJOR: MajorVersion = known;

export const TEST_IMAGE = databaseImage(TEST_MAJOR);
export const TEST_VARIABLES = dataFolderVariables(TEST_MAJOR);
