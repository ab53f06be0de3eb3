import { createReadStream, existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { confirm } from "@inquirer/prompts";
import { EXIT, Stop } from "../agent/exit-codes.ts";
import { type AgentCommand, askAgent, runAgent } from "./agent-command.ts";
import { restartContainers } from "./containers.ts";
import { containerOf, type Stack } from "./stack-containers.ts";

export interface RestoreDatabaseOptions {
  fromStack?: string;
  undo?: boolean;
  /** The moment to go back to, with its offset from UTC. */
  at?: string;
  /** Where the backup is taken from; the backup directory when not said. */
  from?: "s3";
  /** The file with the private key that opens an encrypted copy. */
  identity?: string;
  /** Answers the one question with yes. */
  yes?: boolean;
  json?: boolean;
}

/**
 * Restores through the agent's door, then asks whether to restart the backend, and checks that it serves. The database
 * that was there is kept under another name. Returns an exit code.
 */
export async function restoreDatabase(
  stack: Stack,
  source: string | undefined,
  options: RestoreDatabaseOptions,
): Promise<number> {
  const command = agentCommand(stack, source, options);
  if (!options.json) {
    const code = await runAgent(stack, command);
    if (code !== EXIT.done) return code;
    process.stdout.write("[i] Step 5/5: the backend\n");
    return (await wantsRestart(options)) ? restartBackend(stack) : leaveBackend();
  }
  const { code, stdout } = await askAgent(stack, command);
  if (code !== EXIT.done) return code;
  const restarted = options.yes ? await restartBackend(stack) : null;
  process.stdout.write(
    `${JSON.stringify({ ...JSON.parse(stdout), backendRestarted: restarted === EXIT.done }, null, 2)}\n`,
  );
  return restarted ?? EXIT.done;
}

function agentCommand(
  stack: Stack,
  source: string | undefined,
  options: RestoreDatabaseOptions,
): AgentCommand {
  const args = ["restore"];
  if (options.undo) args.push("--undo");
  if (options.fromStack) args.push("--from-stack", options.fromStack);
  if (options.json) args.push("--json");
  if (options.at) args.push("--at", options.at);
  const identityFile = options.identity;
  if (source === undefined)
    return options.from === "s3"
      ? { args: [...args, "--from", "s3"], readsBucket: "always", identityFile }
      : { args };
  if (options.from === "s3")
    return { args: [...args, source, "--from", "s3"], readsBucket: "always", identityFile };
  if (source.startsWith("s3://")) return { args: [...args, source], readsBucket: "always", identityFile };
  if (source === "-") return { args: [...args, "-"], stdin: process.stdin, identityFile };
  const file = locate(source, containerOf(stack, "backup-agent").labels["budgie.backup-dir"]);
  return file.inBackupDirectory
    ? { args: [...args, file.name], identityFile }
    : { args: [...args, "-"], stdin: createReadStream(file.path), identityFile };
}

type Located = { inBackupDirectory: true; name: string } | { inBackupDirectory: false; path: string };

/**
 * A file in the backup directory goes by its name, because its manifest is there too; one from elsewhere is sent to the
 * agent. What is neither, such as `latest`, is the agent's to understand. Throws a Stop for a path that leads nowhere.
 */
export function locate(source: string, backupDirectory: string | undefined): Located {
  const path = resolve(source);
  if (!existsSync(path)) {
    if (!source.includes("/")) return { inBackupDirectory: true, name: source };
    throw new Stop(
      EXIT.unusableBackup,
      `${source} does not exist.`,
      "`npx budgie list` shows the backups there are.",
    );
  }
  if (!statSync(path).isFile()) {
    throw new Stop(
      EXIT.unusableBackup,
      `${source} is not a file.`,
      "Name a backup: `npx budgie list` shows them.",
    );
  }
  if (
    backupDirectory &&
    existsSync(backupDirectory) &&
    realpathSync(dirname(path)) === realpathSync(backupDirectory)
  ) {
    return { inBackupDirectory: true, name: basename(path) };
  }
  return { inBackupDirectory: false, path };
}

async function wantsRestart({ yes }: RestoreDatabaseOptions): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  return confirm({ message: "Restart the backend now?", default: true });
}

async function restartBackend(stack: Stack): Promise<number> {
  await restartContainers(stack, ["backend"]);
  return EXIT.done;
}

function leaveBackend(): number {
  process.stdout.write(
    "[i] The backend was not restarted. It reconnects by itself; to restart it: npx budgie restart backend\n",
  );
  return EXIT.done;
}
