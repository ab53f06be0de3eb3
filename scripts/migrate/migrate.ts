import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { shownTarget } from "../../shared/postgres-target.ts";
import { withHeldBackend } from "../stack/held-backend.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { ask, isTerminal } from "../terminal/ask.ts";
import { askAgent, runAgent } from "../to-agent/agent-command.ts";
import { handOver } from "../to-agent/hand-over.ts";
import { cutOverThere, lookThere, parseOtherMachine, rehearseThere } from "./migrate-over-ssh.ts";
import { completeTarget, parseTarget, wayWarning } from "./migrate-target.ts";

/** What was typed behind `migrate`. */
export interface MigrateOptions {
  /** `postgres://user@host:port/database`, or `ssh://user@host/folder` of the stack on another machine. */
  to: string;
  /** Which stack of that other machine. */
  toStack?: string;
  /** Ends after the rehearsal. */
  rehearse?: boolean;
  yes?: boolean;
}

/** As many tables are named of what is in the way. */
const SHOWN_HELD = 5;

const say = (line: string) => process.stdout.write(`${line}\n`);

/**
 * Moves the stack's database to another PostgreSQL server, or into the stack of another machine: looks, rehearses while everything runs,
 * asks, holds the API, moves. The database here is left whole. Returns an exit code; throws a Stop.
 *
 * INVARIANT: after a move nobody writes here unless somebody starts the API. After anything else it runs as before; at a kill it may
 * stand still, and `npx budgie start backend` or the same command goes on.
 */
export function migrateDatabase(stack: Stack, options: MigrateOptions): Promise<number> {
  return options.to.startsWith("ssh:") ? moveOverSsh(stack, options) : moveToServer(stack, options);
}

async function moveToServer(stack: Stack, options: MigrateOptions): Promise<number> {
  const address = parseTarget(options.to);
  const warning = wayWarning(address);
  if (warning) say(`[!] ${warning}`);
  const target = Buffer.from(JSON.stringify(await completeTarget(address, process.env)));
  const step = async (name: "plan" | "rehearse" | "cut-over") => ({
    args: ["migrate", name, "--target", await handOver(stack, "keep-target", "the target", target)],
  });

  const planned = await askAgent(stack, await step("plan"));
  if (planned.code !== EXIT.done) return planned.code;
  const shown = shownTarget(address);
  if (JSON.parse(planned.stdout).finished) {
    sayWhatStays(stack, shown);
    return EXIT.done;
  }
  const ended = await rehearseFirst(options, shown, async () => runAgent(stack, await step("rehearse")));
  if (ended !== null) return ended;
  const code = await timed(told =>
    withHeldBackend(stack, async hold => {
      told(hold.stoppedAt);
      const command = await step("cut-over");
      // Where the engine is lost, the agent may go on to the end: then nobody writes here until somebody has looked.
      hold.stays = true;
      const moved = await runAgent(stack, command).catch((error: Error) => {
        say(
          "[!] It is not known whether it was moved, so the backend stays stopped. The same command says it, and goes on if it was not",
        );
        throw error;
      });
      hold.stays = moved === EXIT.done;
      return moved;
    }),
  );
  if (code === EXIT.done) sayWhatStays(stack, shown);
  return code;
}

async function moveOverSsh(stack: Stack, options: MigrateOptions): Promise<number> {
  const machine = parseOtherMachine(options.to, options.toStack);
  const { shown, held } = await lookThere(machine);
  if (held.length > 0)
    throw new Stop(
      EXIT.notConfirmed,
      `The ${shown} at ${machine.target} is not empty: it holds rows in ${held.slice(0, SHOWN_HELD).join(", ")}. Nothing was changed there.`,
      "If it was moved there before, it is done. If nobody needs what is there, put a backup in its place by hand, there, which keeps what it replaces: npx budgie restore FILE",
    );
  say(`[i] The ${shown} at ${machine.target} holds no row; what there is of it is kept under another name`);
  const ended = await rehearseFirst(options, machine.target, async () => {
    await rehearseThere(stack, machine);
    return EXIT.done;
  });
  if (ended !== null) return ended;
  const code = await timed(told => cutOverThere(stack, machine, told));
  if (code === EXIT.done) sayWhatStays(stack, null);
  return code;
}

/** Returns an exit code where it ends there, and null where it goes on. */
async function rehearseFirst(
  options: MigrateOptions,
  shown: string,
  rehearse: () => Promise<number>,
): Promise<number | null> {
  say(
    "[i] First a rehearsal: a backup is loaded there and compared, and thrown away again. Everything runs on meanwhile",
  );
  if (!options.rehearse)
    say(
      "[i] Then the backend is stopped, and what there is by then goes over in the same way, and stays there",
    );
  await requireYes(options, options.rehearse ? "Rehearse it?" : `Begin to move it to ${shown}?`);
  const begun = Date.now();
  const code = await rehearse();
  if (code !== EXIT.done) return code;
  say(`[✓] The rehearsal succeeded. Writes will be stopped for about ${secondsSince(begun)} s`);
  if (options.rehearse) {
    say("[i] Nothing was moved: this was the rehearsal. The same command without --rehearse moves it");
    return EXIT.done;
  }
  await requireYes(options, "Stop the backend now, and move it?");
  return null;
}

/** Says how long nobody could write. */
async function timed(move: (told: (stoppedAt: number) => void) => Promise<number>): Promise<number> {
  let stoppedAt = Date.now();
  const code = await move(at => {
    stoppedAt = at;
  });
  if (code === EXIT.done)
    say(
      `[✓] Moved. From the moment that the backend was stopped to the end it took ${secondsSince(stoppedAt)} s`,
    );
  return code;
}

/** `shown`: where an API must be given a new address; null where the one there has it. */
function sayWhatStays(stack: Stack, shown: string | null): void {
  if (shown !== null) say(`[i] Give the API that is to use it the new address, ${shown}, and start that API`);
  const backend = stack.containers.find(({ role }) => role === "backend");
  if (backend)
    say(
      `[i] ${backend.name} stays stopped, so that nothing is written into the old database any more, which is whole. To go on with the old one instead: npx budgie start backend. \`npm run up\` starts it as well`,
    );
}

function secondsSince(begun: number): string {
  return ((Date.now() - begun) / 1000).toFixed(1);
}

async function requireYes({ yes }: MigrateOptions, question: string): Promise<void> {
  if (yes) return;
  if (isTerminal() && (await ask(question, false))) return;
  throw new Stop(
    EXIT.notConfirmed,
    "Nobody said yes. Nothing was moved, and everything runs on.",
    "To go on without being asked: the same command with --yes",
  );
}
