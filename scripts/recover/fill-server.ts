import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { failureLines } from "../../shared/marked-lines.ts";
import { agentCommand } from "../../shared/names.ts";
import { databaseLogin } from "../stack/database-login.ts";
import { containerOf, type Stack } from "../stack/stack-containers.ts";
import { runAgent } from "../to-agent/agent-command.ts";
import type { RecoveryPlan } from "./recovery-plan.ts";

const COUNT_TABLES = `SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast');`;

/** Lets the stack's containers in, makes the roles, and restores. */
export async function fillServer(
  stack: Stack,
  { backup, at, globals, otherwise }: RecoveryPlan,
): Promise<void> {
  const agent = containerOf(stack, "backup-agent").container;
  if (globals) {
    const roles = await collectFromContainer(agent, ["cat", `/backups/${globals.file}`]);
    // Its errors are of roles that are there already.
    if (roles.code === 0) await feed(stack, roles.stdout);
  }
  const access = await collectFromContainer(agent, agentCommand("own-access"));
  const fed = access.code === EXIT.done ? await feed(stack, access.stdout, "-v", "ON_ERROR_STOP=1") : access;
  if (fed.code !== 0)
    throw new Stop(
      EXIT.failed,
      `The stack's own role could not be let into the new server: ${fed.stderr.trim()}. The new volume is empty; nothing of the old one is lost.`,
      "Run the same command again: it goes on from there.",
    );
  const source = at === null ? ["--", backup] : ["--at", at];
  const code = await runAgent(stack, { args: ["restore", "--without-safety-backup", ...source] });
  if (code === EXIT.done) return;
  const other = at === null ? otherwise : backup;
  throw new Stop(
    code as Stop["code"],
    "The new volume could not be filled; see above. It is empty, and nothing of the old one is lost.",
    `Run the same command again: it goes on from there.${other ? ` To take the backup ${other} instead: the same command with --backup ${other}` : ""}`,
  );
}

/** Over the socket of the new server, which the image trusts. */
async function feed(stack: Stack, sql: string, ...flags: string[]) {
  const { container } = containerOf(stack, "database");
  const login = await databaseLogin(container);
  const answer = await psqlIfRunning(container, ["-X", "-q", ...flags, ...login], sql);
  return answer ?? { code: 1, stdout: "", stderr: "the server does not run" };
}

/** Whether the new server was filled already. Throws a Stop where that is not known: what is there may be newer than any backup. */
export async function isFilled(stack: Stack): Promise<boolean> {
  const { container } = containerOf(stack, "backup-agent");
  const { code, stderr } = await collectFromContainer(container, agentCommand("check-identity"));
  if (code === EXIT.done) return true;
  if (code === EXIT.anotherDatabase) return false;
  // Nobody but the image has set its password yet.
  const answer = await feed(stack, COUNT_TABLES, "-At");
  if (answer.code === 0 && answer.stdout.trim() === "0") return false;
  throw new Stop(
    EXIT.failed,
    `The database serves, and whether an earlier run has filled it is not known: ${failureLines(stderr)?.[0] ?? stderr.trim()} Nothing was changed.`,
    "Look with `npx budgie psql` at what is there; `npm run pulumi -- up` says more.",
  );
}
