import type Docker from "dockerode";
import { OWN_SERVICE, saysCrowded } from "../shared/own-connection.ts";
import { type Collected, collectIfRunning } from "./run-in-container.ts";

/** Where the container has a file of its own that nobody else reads. */
const SERVICE_FILE = "/tmp/.budgie-own-connection";

/** For a shell in the container: the psql after it has a place of its own. */
const IN_OWN_PLACE = `printf '%s' '${OWN_SERVICE.content}' > ${SERVICE_FILE}; export PGSERVICEFILE=${SERVICE_FILE} PGSERVICE=${OWN_SERVICE.name}; `;

/**
 * Runs psql in the database's container; undefined when the engine cannot run anything in it at this moment. Where the clients have
 * taken every place, psql runs once more in a place that is not theirs. The first run did nothing then: it was not let in.
 */
export async function psqlIfRunning(
  container: Docker.Container,
  args: readonly string[],
  stdin?: string,
): Promise<Collected | undefined> {
  const answer = await collectIfRunning(container, ["psql", ...args], stdin);
  if (answer === undefined || answer.code === 0 || !saysCrowded(answer.stderr)) return answer;
  return collectIfRunning(container, ["sh", "-c", `${IN_OWN_PLACE}exec psql "$@"`, "psql", ...args], stdin);
}

/** For a shell in the container: the same, where the server lets no client in. libpq's variables say whom to ask, and as whom. */
export const IN_OWN_PLACE_WHERE_CROWDED = `case "$(psql -XAtqc '' 2>&1)" in *"too many clients already"* | *"connection slots are reserved"*) ${IN_OWN_PLACE};; esac; `;
