import { EXIT, Stop } from "../agent/exit-codes.ts";
import { askAgent, runAgent } from "./agent-command.ts";
import { containerOf, rolesOf, type Stack } from "./stack-containers.ts";

/** Says whether everything is as it should be. Returns 10 when something is not, or cannot be asked. */
export async function showStatus(stack: Stack, json: boolean): Promise<number> {
  const problems = containerProblems(stack);
  const agent = stack.containers.find(({ role }) => role === "backup-agent");
  if (json) {
    const answer = agent?.running ? await askAgent(stack, { args: ["status", "--json"] }) : null;
    const status = answer?.stdout ? JSON.parse(answer.stdout) : { fine: false, problems: [] };
    const containers = stack.containers.map(({ role, name, running, state }) => ({
      role,
      name,
      running,
      state,
    }));
    const all = [...problems, ...status.problems];
    process.stdout.write(
      `${JSON.stringify({ ...status, fine: all.length === 0 && status.fine, problems: all, containers }, null, 2)}\n`,
    );
    return all.length === 0 && status.fine ? EXIT.done : EXIT.notFine;
  }
  for (const { name, running, state } of stack.containers)
    process.stdout.write(`[${running ? "i" : "!"}] ${name}: ${state}\n`);
  for (const problem of problems) process.stdout.write(`[!] ${problem}\n`);
  if (!agent?.running) return EXIT.notFine;
  const code = await runAgent(stack, { args: ["status"] });
  return code === EXIT.done && problems.length > 0 ? EXIT.notFine : code;
}

function containerProblems(stack: Stack): string[] {
  return rolesOf(stack).flatMap(role => {
    try {
      containerOf(stack, role);
      return [];
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      return [`${error.message} ${error.next ?? ""}`.trim()];
    }
  });
}
