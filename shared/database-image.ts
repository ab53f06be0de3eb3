/** Of PostgreSQL, those that the stack can run. The first is what a stack runs that has chosen none. */
export const MAJOR_VERSIONS = ["16", "17", "18"] as const;
export type MajorVersion = (typeof MAJOR_VERSIONS)[number];
export const DEFAULT_MAJOR_VERSION: MajorVersion = MAJOR_VERSIONS[0];

/** The database's image. What looks into its volume without the stack runs in the same. No server opens a volume of another version. */
export function databaseImage(version: MajorVersion): string {
  return `postgres:${version}-alpine`;
}

/** The one that the agent's Dockerfile begins with. */
export const DEFAULT_DATABASE_IMAGE = databaseImage(DEFAULT_MAJOR_VERSION);

/** Where its containers have the volume. */
export const DATA_FOLDER = "/var/lib/postgresql/data";

/** From 18 on, the image keeps its data elsewhere when it is not told, and that would not be in the volume. */
export function dataFolderVariables(version: MajorVersion): string[] {
  return Number(version) < 18 ? [] : [`PGDATA=${DATA_FOLDER}`];
}
