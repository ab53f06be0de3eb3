import type Docker from "dockerode";
import { runBesideStopped } from "../../engine/run-beside-stopped.ts";
import { STOP_WITHIN_SECONDS } from "../../engine/stop-line.ts";
import { StepFailure } from "./main.ts";

/** The engine's answer for a container that does not run. */
const ALREADY_STOPPED = 304;

/**
 * Gives a role back the right to log in where nobody may log in who could do it: in PostgreSQL's single-user mode, which asks for no
 * right. There is never more than one server on the volume: the database's container is stopped before, and started again after.
 * A kill in between leaves it stopped, and the next `up` starts it and comes back here.
 */
export async function permitLogin(client: Docker, container: Docker.Container, user: string): Promise<void> {
  await container.stop({ t: STOP_WITHIN_SECONDS }).catch((error: { statusCode?: number }) => {
    if (error.statusCode !== ALREADY_STOPPED) throw error;
  });
  try {
    const { code, log } = await runBesideStopped(client, container, {
      suffix: "permit-login",
      script: singleUser(`ALTER ROLE "${user}" LOGIN`),
      lines: 15,
    });
    if (code !== 0) throw failure(user, log);
  } finally {
    await container.start();
  }
}

/** It exits with 0 whatever becomes of the statement; that the role comes in is seen afterwards. */
function singleUser(statement: string): string {
  return `echo '${statement}' | postgres --single -c default_transaction_read_only=off -D "\${PGDATA:-/var/lib/postgresql/data}" postgres`;
}

function failure(user: string, log: string): StepFailure {
  return new StepFailure(
    `${user} may not log in (NOLOGIN), and the right could not be given back in PostgreSQL's single-user mode. It says:\n${log}`,
    "npx budgie logs db     # what is wrong with the server\nnpm run pulumi -- up",
  );
}
