/** Has the image make a new volume whose pages carry checksums: then a damaged page is an error, and not a wrong answer. */
const WITH_CHECKSUMS = "POSTGRES_INITDB_ARGS=--data-checksums";

/**
 * The variable that the image reads when it first fills a volume. A container that was made without it stays without: it would be replaced
 * for a variable that says nothing to a volume with data. `npx budgie checksums enable` serves those.
 *
 * @param envs of the database's container as the state has it; undefined where there is none yet
 */
export function checksumVariables(envs: unknown): string[] {
  return Array.isArray(envs) && !envs.includes(WITH_CHECKSUMS) ? [] : [WITH_CHECKSUMS];
}
