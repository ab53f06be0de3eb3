import { createReadStream, existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import type { CopiesFrom } from "../../shared/copies-places.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { flagsGiven } from "../../shared/forwarded-flags.ts";
import { LABEL } from "../../shared/labels.ts";
import { restartContainers } from "../stack/containers.ts";
import {
  holdLoopingBackend,
  leaveHeldBackend,
  releaseAsItWas,
  startHeldBackend,
  warnOfUnfittingCode,
} from "../stack/held-backend.ts";
import { containerOf, hasApi, type Stack, type StackContainer } from "../stack/stack-containers.ts";
import { ask, isTerminal } from "../terminal/ask.ts";
import { type AgentCommand, askAgent, readingCopies, runAgent } from "../to-agent/agent-command.ts";

/** What the agent's `choose` says; see agent/restore/settled-latest.ts. */
const choice = z.object({
  source: z.string(),
  name: z.string(),
  age: z.string(),
  decision: z.object({ message: z.string(), next: z.string() }).nullable(),
});

/** How the agent names the flag that does without the safety backup. */
const WITHOUT_SAFETY_BACKUP = "--without-safety-backup";
/** As much as the last lines of a command can be, to see which flag they name. */
const LAST_LINES = 4096;

export interface RestoreDatabaseOptions {
  fromStack?: string;
  undo?: boolean;
  /** The moment to go back to, with its offset from UTC. */
  at?: string;
  /** Where the backup is taken from; the backup directory when not said. */
  from?: CopiesFrom;
  /** The file with the private key that opens an encrypted copy. */
  identity?: string;
  /** Takes `latest` although something newer does not count, or something fuller lies beside it. */
  allowOlder?: boolean;
  /** Does everything up to the swap, and says what a restore would replace. */
  dryRun?: boolean;
  /** Leaves what is loaded beside the database, under this name. */
  into?: string;
  /** Copies these tables into a schema beside the live ones. */
  table?: string[];
  /** Has a file that this stack did not write loaded as it is, with all rights. */
  trustFile?: boolean;
  /** Does without a backup of what is there; it is set aside all the same. */
  withoutSafetyBackup?: boolean;
  /**
   * Restarts the backend without asking. The answer to every other question is then no, as where there is no terminal.
   */
  yes?: boolean;
  json?: boolean;
}

/** What the agent is asked to restore. */
interface Wanted {
  /** Nothing for an undo, or a moment. */
  source: string | undefined;
  /** It was named by the agent, so a file of that name in this folder is not meant. */
  byAgent: boolean;
}

/**
 * Restores through the agent's door, then asks whether to restart the backend, and checks that it serves. The database
 * that was there is kept under another name. What must be decided first is asked on a terminal. Returns an exit code.
 */
export async function restoreDatabase(
  stack: Stack,
  source: string | undefined,
  options: RestoreDatabaseOptions,
): Promise<number> {
  const wanted = await settleLatest(stack, source, options);
  if (typeof wanted === "number") return wanted;
  const command = restoreCommand(stack, wanted, options);
  if (staysAsItIs(options)) return runAgent(stack, command);
  return replaceDatabase(stack, options, async () =>
    options.json
      ? restoreForMachine(stack, command)
      : { code: await restoreForPeople(stack, wanted, command, options), answer: null },
  );
}

/** What the agent says of a replacement; its answer is JSON for a machine. */
interface Replaced {
  code: number;
  answer: string | null;
}

/**
 * Has `replace` put another database in the live one's place, with the backend held meanwhile where it restarts in a loop, and then sees
 * to the backend. Returns an exit code.
 */
export async function replaceDatabase(
  stack: Stack,
  options: Pick<RestoreDatabaseOptions, "json" | "yes">,
  replace: () => Promise<Replaced>,
): Promise<number> {
  const held = await holdLoopingBackend(stack);
  let restored: Replaced = { code: EXIT.failed, answer: null };
  try {
    restored = await replace();
  } finally {
    if (restored.code !== EXIT.done && held) await releaseAsItWas(held);
  }
  if (restored.code !== EXIT.done) return restored.code;
  const restarted = await bringBackendUp(stack, held, options);
  if (restored.answer !== null) {
    const told = { ...JSON.parse(restored.answer), backendRestarted: restarted };
    process.stdout.write(`${JSON.stringify(told, null, 2)}\n`);
  }
  return EXIT.done;
}

/**
 * Where somebody can be asked, first asks the agent what `latest` is. Elsewhere the agent itself refuses what must be
 * decided. Returns an exit code when the answer is no, or when there is nothing to restore.
 */
async function settleLatest(
  stack: Stack,
  source: string | undefined,
  options: RestoreDatabaseOptions,
): Promise<Wanted | number> {
  const asked = { source, byAgent: false };
  const isLatest = source === "latest" && (options.from !== undefined || !existsSync(source));
  if (!isLatest || options.allowOlder || !canAsk(options)) return asked;
  const { code, stdout } = await askAgent(stack, {
    args: ["choose", ...flagsGiven("choose", options)],
    ...(options.from ? readingCopies(options) : {}),
  });
  if (code !== EXIT.done) return code;
  const { decision, name, age, source: chosen } = choice.parse(JSON.parse(stdout));
  if (!decision) return asked;
  // The lines to type next are a restore's: where nothing is to be replaced, they would replace it.
  const beside = staysAsItIs(options);
  process.stdout.write(`[!] ${decision.message}\n${beside ? "" : `    ${decision.next}\n`}`);
  if (await ask(`${beside ? "Load" : "Restore"} ${name} of ${age} ago?`, false))
    return { source: chosen, byAgent: true };
  process.stdout.write("[i] Nothing was restored; the database is as it was\n");
  return EXIT.notConfirmed;
}

export async function restoreForMachine(stack: Stack, command: AgentCommand): Promise<Replaced> {
  const { code, stdout } = await askAgent(stack, command);
  return { code, answer: stdout };
}

/**
 * Asks whether to go on where the agent could not back up what is there. By then a backup from standard input is used up.
 */
async function restoreForPeople(
  stack: Stack,
  wanted: Wanted,
  command: AgentCommand,
  options: RestoreDatabaseOptions,
): Promise<number> {
  let lastLines = "";
  const heard = (text: string) => {
    lastLines = (lastLines + text).slice(-LAST_LINES);
  };
  const code = await runAgent(stack, { ...command, heard });
  const needsFlag = code === EXIT.notConfirmed && lastLines.includes(WITHOUT_SAFETY_BACKUP);
  if (!needsFlag || options.withoutSafetyBackup || wanted.source === "-" || !canAsk(options)) return code;
  const question =
    "Go on without a backup of what is there? It is kept under another name, whole, as it is now.";
  if (!(await ask(question, false))) return code;
  return runAgent(stack, restoreCommand(stack, wanted, { ...options, withoutSafetyBackup: true }));
}

/** Whether the database stays what it is, and the backend with it. */
function staysAsItIs({ dryRun, into, table }: RestoreDatabaseOptions): boolean {
  return Boolean(dryRun) || into !== undefined || table !== undefined;
}

function canAsk({ yes, json }: Pick<RestoreDatabaseOptions, "json" | "yes">): boolean {
  return !yes && !json && isTerminal();
}

function restoreCommand(
  stack: Stack,
  { source, byAgent }: Wanted,
  options: RestoreDatabaseOptions,
): AgentCommand {
  const args = ["restore", ...flagsGiven("restore", options)];
  const identityFile = options.identity;
  if (options.from || source?.startsWith("s3://"))
    return { args: [...args, ...(source === undefined ? [] : [source])], ...readingCopies(options) };
  if (source === undefined) return { args };
  if (source === "-") return { args: [...args, "-"], stdin: process.stdin, identityFile };
  if (byAgent) return { args: [...args, source], identityFile };
  const file = locate(source, containerOf(stack, "backup-agent").labels[LABEL.backupDir]);
  return file.inBackupDirectory
    ? { args: [...args, file.name], identityFile }
    : { args: [...args, "-", `--shown=${source}`], stdin: createReadStream(file.path), identityFile };
}

type Located = { inBackupDirectory: true; name: string } | { inBackupDirectory: false; path: string };

/**
 * A file in the backup directory goes by its name, because its manifest is there too. A file from elsewhere is sent to
 * the agent. Anything else, such as `latest`, the agent must understand. Throws a Stop for a path that leads nowhere.
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

/** Whether the backend was restarted. Throws a Stop when it was, and does not serve. */
async function bringBackendUp(
  stack: Stack,
  held: StackContainer | null,
  options: Pick<RestoreDatabaseOptions, "json" | "yes">,
): Promise<boolean> {
  if (!hasApi(stack)) {
    if (!options.json)
      process.stdout.write(
        "[i] Step 5/5: this stack has no backend of its own. What uses the database reconnects by itself, or must be restarted\n",
      );
    return false;
  }
  if (!options.json) process.stdout.write("[i] Step 5/5: the backend\n");
  if (held) warnOfUnfittingCode(held);
  const wants =
    options.yes ||
    (canAsk(options) &&
      (held ? await ask("Start the backend now?", false) : await ask("Restart the backend now?", true)));
  if (held) {
    if (wants) await startHeldBackend(stack, held);
    else leaveHeldBackend(held);
  } else if (wants) {
    await restartContainers(stack, ["backend"]);
  } else if (!options.json) {
    process.stdout.write(
      "[i] The backend was not restarted. It reconnects by itself; to restart it: npx budgie restart backend\n",
    );
  }
  return Boolean(wants);
}
