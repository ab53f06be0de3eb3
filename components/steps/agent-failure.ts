import { failureLines } from "../../shared/marked-lines.ts";
import { StepFailure } from "./main.ts";

/** Why a command of the backup agent failed, as a step says it. */
export function agentFailure({ code, stderr }: { code: number; stderr: string }): StepFailure {
  const unexplained = stderr.trim() || `The backup agent's command ended with exit code ${code}.`;
  const [what, ...next] = failureLines(stderr) ?? [unexplained];
  return new StepFailure(what, next.map(line => line.trim()).join("\n") || "npx budgie status");
}
