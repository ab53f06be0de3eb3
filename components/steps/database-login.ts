import type Docker from "dockerode";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import type { Collected } from "../../engine/run-in-container.ts";

/** What somebody logs in with. */
export interface Login {
  database: string;
  user: string;
  password: string;
}

/**
 * Logs in as the API will: over TCP, from an address that is not trusted. psql asks for the password on standard input when
 * it has no terminal, so it is in no argument, no environment and no file. Throws for a container that is gone.
 */
export async function logIn(
  container: Docker.Container,
  { database, user, password }: Login,
): Promise<{ ok: boolean; answer: Collected | undefined }> {
  const { NetworkSettings: network } = await container.inspect();
  const address = Object.values(network.Networks)
    .map(({ IPAddress }) => IPAddress)
    .find(Boolean);
  // Without an address it is on no network, or does not run.
  if (!address) return { ok: false, answer: undefined };
  const answer = await psqlIfRunning(
    container,
    ["-XAtqW", "-h", address, "-U", user, "-d", database, "-c", "select current_database()"],
    `${password}\n`,
  );
  return { ok: answer?.code === 0 && answer.stdout.trim() === database, answer };
}
