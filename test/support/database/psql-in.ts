import { engineClient } from "../../../engine/client.ts";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { DATABASE_USER } from "../../../shared/names.ts";

/** SQL in a stack's database `budgie_dev`, or its replica, over that container's own socket. Throws what psql says when it fails. */
export async function psqlIn(engineHost: string, container: string, sql: string): Promise<string> {
  const answer = await collectFromContainer(engineClient(engineHost).getContainer(container), [
    ...["psql", "-XAtq", "-U", DATABASE_USER, "-d", "budgie_dev", "-c", sql],
  ]);
  if (answer.code !== 0) throw new Error(answer.stderr);
  return answer.stdout.trim();
}
