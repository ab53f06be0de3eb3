import { EXIT, Stop } from "../../shared/exit-codes.ts";

/** Whether there is somebody who can be asked. */
export function isTerminal(): boolean {
  return Boolean(process.stdin.isTTY && process.stdout.isTTY);
}

/** Asks on the terminal; Ctrl-C is a no. */
export async function ask(message: string, byDefault: boolean): Promise<boolean> {
  const { confirm } = await import("@inquirer/prompts");
  try {
    return await confirm({ message, default: byDefault });
  } catch (error) {
    if ((error as Error).name === "ExitPromptError") return false;
    throw error;
  }
}

/** Of a plan that was shown. Throws a Stop where nobody says yes. */
export async function requireYesToPlan({ yes }: { yes?: boolean }): Promise<void> {
  if (yes) return;
  if (isTerminal() && (await ask("Do that?", false))) return;
  throw new Stop(
    EXIT.notConfirmed,
    "It was not confirmed. Nothing was changed.",
    "Without a question: add --yes",
  );
}

/** What is typed on the terminal; Ctrl-C is nothing. */
export async function askForText(message: string): Promise<string> {
  const { input } = await import("@inquirer/prompts");
  return typed(input({ message }));
}

/** The same, and nobody sees it. */
export async function askForSecret(message: string): Promise<string> {
  const { password } = await import("@inquirer/prompts");
  return typed(password({ message }));
}

async function typed(asked: Promise<string>): Promise<string> {
  try {
    return await asked;
  } catch (error) {
    if ((error as Error).name === "ExitPromptError") return "";
    throw error;
  }
}
