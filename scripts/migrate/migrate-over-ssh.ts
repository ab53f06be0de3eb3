import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { z } from "zod";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { failureLines } from "../../shared/marked-lines.ts";
import { shellWord } from "../../shared/shell-word.ts";
import { parseSshTarget, type SshTarget } from "../../shared/ssh-target.ts";
import { backupStream } from "../files/backup-stream.ts";
import { withHeldBackend } from "../stack/held-backend.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { isTerminal } from "../terminal/ask.ts";
import { askAgent, runAgent } from "../to-agent/agent-command.ts";

/** The folder of the other stack, and which one it is where there are several. */
export interface OtherMachine extends SshTarget {
  stack: string | null;
}

/** What the agent says of the backup that is moved; see agent/commands/migrate.ts. */
const taken = z.object({
  file: z.string(),
  sha256: z.string(),
  tables: z.number(),
  rows: z.number(),
  written: z.string(),
});
type Taken = z.infer<typeof taken>;

/** What `restore` says there; of a rehearsal, what it would say. */
const restored = z.object({ tables: z.number(), rows: z.number() });
const rehearsed = z.object({ backup: restored });

/** ssh's own exit code where it got through to nobody, or lost the way. */
const LOST = 255;
/** In the other stack's folder, for this alone. The next move empties it. */
const INCOMING = ".budgie-migration";

/** A line for each table that holds a row, in the database there; first what it is. */
const LOOK = `
SELECT 'database ' || current_database() || ' on PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1);
SELECT format('SELECT %L WHERE EXISTS (SELECT FROM ONLY %I.%I)', nspname || '.' || relname, nspname, relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
   AND NOT (nspname = 'public' AND relname = 'backend_migrations')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
 ORDER BY 1 \\gexec
SELECT 'large objects' FROM pg_largeobject_metadata LIMIT 1;
`;

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Takes `ssh://user@host:port/folder` apart. Throws a Stop for anything else. */
export function parseOtherMachine(typed: string, stack: string | undefined): OtherMachine {
  const target = parseSshTarget(typed);
  if (target) return { ...target, stack: stack ?? null };
  throw new Stop(
    EXIT.usage,
    "--to names no folder on another machine. Nothing was changed.",
    "Like this, with the folder in which `npm run up` was typed there: npx budgie migrate --to ssh://USER@HOST/home/USER/budgie",
  );
}

/** What is there before a move: which database, and what in it somebody may miss. Throws a Stop where that cannot be told. */
export async function lookThere(machine: OtherMachine): Promise<{ shown: string; held: string[] }> {
  const { code, stdout, stderr } = await budgieThere(
    machine,
    ["psql", "--", "-XAtq", "-v", "ON_ERROR_STOP=1"],
    LOOK,
  );
  const [database, ...held] = stdout.split("\n").filter(line => line !== "");
  if (code === 0 && database?.startsWith("database ")) return { shown: database, held };
  throw notThere(machine, code, stderr);
}

/** Takes a backup here, and has the other stack load and compare it; nothing is replaced there. */
export async function rehearseThere(stack: Stack, machine: OtherMachine): Promise<void> {
  const backup = await backupHere(stack, "rehearse-backup");
  await send(stack, machine, backup);
  say("[i] The other stack loads it and compares it, and leaves its database alone");
  const answer = await restoreThere(stack, machine, backup, ["--dry-run", "--json"]);
  requireGood(machine, answer);
  requireAsMany(machine, backup, rehearsed.parse(JSON.parse(answer.stdout)).backup);
}

/**
 * Holds the API here, moves what there is by then, and leaves it held.
 *
 * INVARIANT: from the moment that the other stack is told to put the backup in place, the API here stays stopped, unless that stack
 * itself says that it did not. Where nobody knows, nobody writes.
 */
export function cutOverThere(
  stack: Stack,
  machine: OtherMachine,
  told: (stoppedAt: number) => void,
): Promise<number> {
  return withHeldBackend(stack, async hold => {
    told(hold.stoppedAt);
    const backup = await backupHere(stack, "cut-over-backup");
    await send(stack, machine, backup);
    const before = await runAgent(stack, stillSo(backup));
    if (before !== EXIT.done) return before;
    hold.stays = true;
    say("[i] The other stack loads it, compares it, and puts it in place");
    // Without --yes: whether the API there can be restarted says nothing of the data.
    const answer = await restoreThere(stack, machine, backup, ["--json"]);
    if (saysNo(answer)) {
      hold.stays = false;
      requireGood(machine, answer);
    }
    const found = restored.safeParse(parse(answer.stdout));
    if (!found.success) throw unknownThere(machine);
    requireAsMany(machine, backup, found.data);
    const after = await runAgent(stack, stillSo(backup));
    if (after !== EXIT.done) throw wroteMeanwhile(machine);
    say(
      `[✓] ${machine.target} holds it. Tables: ${found.data.tables}, rows: ${found.data.rows}, compared there with ${backup.file}`,
    );
    await restartThere(machine);
    return EXIT.done;
  });
}

/** Whether the other stack itself says that it did not put the backup in place. A lost connection, there or on the way, says nothing. */
function saysNo({ code, stderr }: Answer): boolean {
  const known = code !== EXIT.done && code !== EXIT.engineOrContainerMissing && code < EXIT.interrupted;
  return known && failureLines(stderr) !== undefined;
}

async function restartThere(machine: OtherMachine): Promise<void> {
  const { code, stderr } = await budgieThere(machine, ["restart", "backend"]);
  if (code === EXIT.done) say("[✓] The API there is restarted, and serves");
  else
    say(
      `[!] The data is there. Its API was not restarted (${failureLines(stderr)?.[0] ?? lastLine(stderr)}); there: npx budgie restart backend`,
    );
}

function stillSo({ written }: Taken) {
  return { args: ["migrate", "check", "--written", written] };
}

async function backupHere(stack: Stack, step: "rehearse-backup" | "cut-over-backup"): Promise<Taken> {
  const { code, stdout } = await askAgent(stack, { args: ["migrate", step] });
  if (code === EXIT.done) return taken.parse(JSON.parse(stdout));
  throw new Stop(
    EXIT.failed,
    "No backup could be taken here, as was said above. Nothing was moved.",
    "Put that right, then run the same command again.",
  );
}

/** Through the operator's own ssh, and compared with what was written here. Nobody else may read it there. */
async function send(stack: Stack, machine: OtherMachine, { file, sha256 }: Taken): Promise<void> {
  say(`[i] Sending ${file} to ${machine.host}`);
  const script = `umask 077 && rm -rf ${INCOMING} && mkdir ${INCOMING} && cat > ${INCOMING}/${file} && sha256sum < ${INCOMING}/${file}`;
  const { code, stdout, stderr } = await shellThere(machine, script, backupStream(stack, file));
  if (code === 0 && stdout.startsWith(sha256)) return;
  throw new Stop(
    EXIT.failed,
    `${file} did not arrive whole at ${machine.target}: ${lastLine(stderr) || "its bytes are others"}. Nothing was moved.`,
    "See whether there is space and the way holds, then run the same command again.",
  );
}

/** The other stack's own door: a file that it did not write is loaded without special rights, compared, and swapped in. */
async function restoreThere(
  stack: Stack,
  machine: OtherMachine,
  { file }: Taken,
  flags: readonly string[],
): Promise<Answer> {
  const args = ["restore", `${INCOMING}/${file}`, "--from-stack", stack.name, ...flags];
  const answer = await budgieThere(machine, args);
  await shellThere(machine, `rm -rf ${INCOMING}`).catch(() => undefined);
  return answer;
}

function requireGood(machine: OtherMachine, answer: Answer): void {
  if (answer.code === EXIT.done) return;
  if (answer.code === LOST) throw notThere(machine, answer.code, answer.stderr);
  const [said, next] = failureLines(answer.stderr) ?? [lastLine(answer.stderr)];
  throw new Stop(
    EXIT.failed,
    `${machine.target} does not take the backup: ${said} Nothing was moved.`,
    `There: ${next?.trim() ?? "npx budgie status"}`,
  );
}

function requireAsMany(machine: OtherMachine, backup: Taken, there: z.infer<typeof restored>): void {
  if (there.tables === backup.tables && there.rows === backup.rows) return;
  throw new Stop(
    EXIT.comparisonDiffers,
    `${machine.target} says that it has ${there.tables} tables with ${there.rows} rows, and ${backup.file} holds ${backup.tables} with ${backup.rows}.`,
    "Look there before anything else: npx budgie psql. What was there before: npx budgie restore --undo",
  );
}

/** Both could be written to now, so neither is started by guess. */
function unknownThere({ target }: OtherMachine): Stop {
  return new Stop(
    EXIT.storeUnreachable,
    `The way to ${target} was lost while the backup was put in place there, so it is not known whether it is. The backend here stays stopped, so that nothing is written in two places.`,
    "See there: npx budgie psql. Is it there: this stack is done. Is it not: npx budgie start backend, here, or the same command again.",
  );
}

function wroteMeanwhile({ target }: OtherMachine): Stop {
  return new Stop(
    EXIT.busy,
    `Somebody wrote here while it was moved to ${target}, so what is there is not the whole of it. The backend here stays stopped.`,
    "There: npx budgie restore --undo. Then end here whoever writes besides the API, and run the same command again; or npx budgie start backend.",
  );
}

function notThere({ target, host, stack }: OtherMachine, code: number, stderr: string): Stop {
  const said = failureLines(stderr)?.[0] ?? lastLine(stderr);
  const why = `${said || `exit code ${code}`}`.replace(/\.$/, "");
  if (code === LOST)
    return new Stop(
      EXIT.storeUnreachable,
      `${target} cannot be reached over ssh: ${why}. Nothing was moved.`,
      `Log in once by hand, so that its host key is known here and a key of yours is known there: ssh ${host}`,
    );
  return new Stop(
    EXIT.failed,
    `No stack of Budgie answers at ${target}: ${why}. Nothing was moved.`,
    `The folder must be the one in which \`npm run up\` was typed there, and node and npx must be found by a login without a terminal.${stack === null ? " Are there several stacks: --to-stack NAME" : ""}`,
  );
}

interface Answer {
  code: number;
  stdout: string;
  stderr: string;
}

function budgieThere(machine: OtherMachine, args: readonly string[], input?: string): Promise<Answer> {
  const stack = machine.stack === null ? [] : ["--stack", machine.stack];
  const words = ["npx", "--no-install", "budgie", ...stack, ...args].map(shellWord).join(" ");
  return shellThere(machine, `exec ${words}`, input);
}

/** The operator's own ssh: keys, known hosts and ways through other machines are what they have set up, and host keys are checked by it. */
async function shellThere(
  { user, host, port, path }: OtherMachine,
  script: string,
  input?: string | Readable,
): Promise<Answer> {
  // Without a terminal nobody can answer: an unknown host is then refused, and never trusted.
  const asks = isTerminal() ? [] : ["-o", "BatchMode=yes"];
  const alive = ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"];
  const command = `cd ${shellWord(path)} && ${script}`;
  const running = execa(
    "ssh",
    ["-T", ...asks, ...alive, "-p", String(port), "-l", user, "--", host, command],
    {
      reject: false,
      maxBuffer: 1 << 22,
      ...(input === undefined ? { stdin: "ignore" } : { stdin: "pipe" }),
    },
  );
  if (typeof input === "string") running.stdin?.end(input);
  // Where it cannot be read to its end, what arrives is too short, and whoever asks finds that out.
  else if (input) void pipeline(input, running.stdin as NodeJS.WritableStream).catch(() => undefined);
  const { exitCode, stdout, stderr, originalMessage } = await running;
  return {
    code: exitCode ?? LOST,
    stdout: String(stdout),
    stderr: String(stderr || (originalMessage ?? "")),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
