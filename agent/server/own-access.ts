import { readFile } from "node:fs/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { ownLogin } from "../../shared/own-login.ts";
import { allowReplication } from "../../shared/replication-access.ts";

/** Every passfile of the stack's has one line, for every server. */
const LINE = /^\*:\*:\*:\*:(.*)\n?$/;

/**
 * What psql is fed on a new server so that the stack's own containers are let in, as `pulumi up` would do it. It holds a verifier in
 * place of the password.
 */
export async function ownAccess({ user, pointInTime }: AgentSettings): Promise<string> {
  const path = process.env.PGPASSFILE;
  const written = path === undefined ? undefined : LINE.exec(await readFile(path, "utf8"))?.[1];
  if (written === undefined)
    throw new Stop(
      EXIT.failed,
      "The backup agent does not know the password of the database.",
      "Have the stack make the agent anew: npm run pulumi -- up",
    );
  const password = written.replace(/\\(.)/g, "$1");
  return `${ownLogin(user, password)}${pointInTime ? allowReplication(user) : ""}`;
}
