import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { TestStack } from "./stack.ts";

/** How a message writes a command of Pulumi: it works on every machine that the stack came up on. */
const PULUMI = "npm run pulumi -- ";

/**
 * Runs what a message says to type, line by line: the indented commands under the line that begins with `heading`. With
 * `stops`, an `up` that the message says will stop must fail. Every other line must succeed.
 */
export async function followWayOut(stack: TestStack, message: string, heading: string): Promise<void> {
  const commands = wayOut(message, heading);
  if (commands.length === 0) throw new Error(`There is nothing to type under "${heading}" in:\n${message}`);
  for (const { command, stops } of commands) {
    const { code, all } = await type(stack, command);
    if ((code === 0) === stops) {
      throw new Error(`${command} ended with exit code ${code}, in the way out of:\n${message}\n\n${all}`);
    }
  }
}

/** The commands are the lines indented deeper than the heading, up to the first that is not. Pulumi may indent it all. */
function wayOut(message: string, heading: string): { command: string; stops: boolean }[] {
  const lines = message.split("\n");
  const start = lines.findIndex(line => line.trim().startsWith(heading));
  const indent = (line: string) => line.length - line.trimStart().length;
  const commands = [];
  for (const line of lines.slice(start + 1)) {
    if (start < 0 || indent(line) <= indent(lines[start] ?? "")) break;
    const [command = "", comment = ""] = line.trim().split(/ {2,}# /);
    commands.push({ command, stops: comment.startsWith("stops ") });
  }
  return commands;
}

async function type(stack: TestStack, command: string): Promise<{ code: number; all: string }> {
  const words = command.split(" ").map(word => word.replace(/^'(.*)'$/, "$1"));
  const [program, ...args] = command.startsWith(PULUMI)
    ? words.slice(PULUMI.trim().split(" ").length - 1)
    : words;
  if (program === "npx") return stack.budgie(args.slice(1));
  if (command.includes(" tag ")) {
    const [repo = "", tag = ""] = (args[2] ?? "").split(/:(?=[^:]*$)/);
    await stack.docker.getImage(args[1] ?? "").tag({ repo, tag });
    return { code: 0, all: "" };
  }
  if (program === "docker") {
    const backups = (await readdir(stack.backupDir)).filter(name => name.endsWith(".sql")).sort();
    const typed = command.replace("BACKUP.sql", join(stack.backupDir, backups.at(-1) ?? ""));
    const { exitCode, all } = await execa("sh", ["-c", typed], { reject: false, all: true });
    return { code: exitCode ?? 1, all };
  }
  if (args[0] === "config") {
    await stack.set((args[2] ?? "").replace("budgie:", ""), args[3] ?? "");
    return { code: 0, all: "" };
  }
  const yes = args[0] === "state" ? ["--yes"] : ["--yes", "--skip-preview"];
  return stack.pulumi(...args, ...yes);
}
