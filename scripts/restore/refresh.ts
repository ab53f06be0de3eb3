import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { z } from "zod";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { flagsGiven } from "../../shared/forwarded-flags.ts";
import { backupStream } from "../files/backup-stream.ts";
import { choose, type Stack, stacksOf } from "../stack/stack-containers.ts";
import { type AgentCommand, askAgent, runAgent } from "../to-agent/agent-command.ts";
import { handOver } from "../to-agent/hand-over.ts";
import { replaceDatabase, restoreForMachine } from "./restore-database.ts";

/** What was typed behind `refresh`. */
export interface RefreshTyped {
  /** The other stack; undefined where the settings of this one say all. */
  from?: string;
  /** Its bucket. */
  source?: string;
  /** A file on this machine that opens encrypted copies. */
  identity?: string;
  /** A file on this machine. */
  mask?: string;
  allowProduction?: boolean;
  yes?: boolean;
  json?: boolean;
}

/** What the agent's `list` says of a backup; see agent/catalogue/catalogue.ts. */
const listed = z.array(
  z.object({
    name: z.string(),
    flaw: z.string().nullable(),
    drill: z.union([z.object({ outcome: z.string() }), z.string()]).nullable(),
    manifest: z.object({ contentSha256: z.string(), identity: z.string() }).nullable(),
  }),
);

type Listed = z.infer<typeof listed>[number];

/** Has the agent put another stack's backup in the database's place, and then sees to the backend. Returns an exit code. */
export async function refreshDatabase(
  stack: Stack,
  backup: string | undefined,
  options: RefreshTyped,
): Promise<number> {
  const command = await refreshCommand(stack, backup, options);
  if (typeof command === "number") return command;
  return replaceDatabase(stack, options, async () =>
    options.json ? restoreForMachine(stack, command) : { code: await runAgent(stack, command), answer: null },
  );
}

/**
 * Without --from the agent knows all. With --source it reads the other stack's bucket. Where the other stack is on this engine, its
 * own agent says which backup it is and what it holds, and the file goes through standard input. Else the backup is looked for in this stack's own directory. Returns an exit code where that agent does not say it.
 */
async function refreshCommand(
  stack: Stack,
  backup: string | undefined,
  options: RefreshTyped,
): Promise<AgentCommand | number> {
  const { from, mask, source: bucket, identity } = options;
  if (from === undefined) return asConfigured(backup, options);
  const text = mask === undefined ? null : await maskText(mask);
  const args = [
    "refresh",
    ...flagsGiven("refresh", options),
    ...(mask === undefined ? [] : [`--mask=${mask}`]),
  ];
  const stdin = text === null ? {} : { stdin: Readable.from([text]) };
  if (bucket !== undefined) {
    const named = backup === undefined ? args : [...args, backup];
    return { args: named, ...stdin, readsBucket: "always", bucketOf: from, identityFile: identity };
  }
  const named = backup === undefined ? args : [...args, "--", backup];
  const source = await otherStack(stack, from);
  if (source === null) return { args: named, ...stdin };
  const { code, stdout } = await askAgent(source, { args: ["list", "--json"] });
  if (code !== EXIT.done) return code;
  const { name, contentSha256 } = chooseListed(listed.parse(JSON.parse(stdout)), backup, source.name);
  const kept = text === null ? [] : [`--kept-mask=${await handOver(stack, "keep-mask", "the mask", text)}`];
  if (!options.json) process.stdout.write(`[i] Taking ${name} of ${source.name}\n`);
  return {
    args: [...args, ...kept, `--recorded=${contentSha256}`, "--", name],
    stdin: backupStream(source, name),
  };
}

/** What the settings say is said by them alone: half of it from here would be another refresh than the one by schedule. */
function asConfigured(backup: string | undefined, options: RefreshTyped): AgentCommand {
  const { mask, source, identity, allowProduction } = options;
  if ([backup, mask, source, identity, allowProduction].every(typed => typed === undefined))
    return { args: ["refresh", ...flagsGiven("refresh", options)] };
  throw new Stop(
    EXIT.usage,
    "It is not clear from which stack.",
    "Say it with --from STACK. Without it and without all the rest, `npx budgie refresh` does what budgie:refreshFrom and its neighbours say.",
  );
}

/** Null where no other stack of that name is on the engine. */
async function otherStack({ engine, prefix, name }: Stack, from: string): Promise<Stack | null> {
  // The agent says that a stack is not refreshed from itself.
  if (from === name || from === prefix) return null;
  const fitting = (await stacksOf(engine)).filter(other => other.name === from || other.prefix === from);
  return fitting.length === 0 ? null : choose(fitting, from);
}

/** The one that was named, or the newest proven one, if its own stack counts it. */
export function chooseListed(
  backups: readonly Listed[],
  wanted: string | undefined,
  stack: string,
): { name: string; contentSha256: string } {
  const isProven = ({ drill }: Listed) => typeof drill === "object" && drill?.outcome === "good";
  const found = backups.find(backup =>
    wanted === undefined
      ? backup.flaw === null && isProven(backup) && backup.manifest?.identity === "known"
      : backup.name === wanted,
  );
  const list = `npx budgie --stack ${stack} list`;
  if (!found)
    throw new Stop(
      EXIT.unusableBackup,
      wanted === undefined
        ? `No backup of stack ${stack} is proven.`
        : `Stack ${stack} has no backup ${wanted}.`,
      wanted === undefined
        ? `Prove one: npx budgie --stack ${stack} drill. Or name one: \`${list}\` shows them.`
        : `\`${list}\` shows what there is.`,
    );
  if (found.flaw !== null || found.manifest === null)
    throw new Stop(
      EXIT.unusableBackup,
      `${found.name} of stack ${stack} does not count: ${found.flaw ?? "no manifest"}.`,
      `Use another one: \`${list}\` shows them.`,
    );
  return { name: found.name, contentSha256: found.manifest.contentSha256 };
}

async function maskText(path: string): Promise<Buffer> {
  return readFile(path).catch((error: Error) => {
    throw new Stop(
      EXIT.usage,
      `The mask ${path} cannot be read: ${error.message}. Nothing was done.`,
      "Name a file with SQL: --mask FILE.sql",
    );
  });
}
