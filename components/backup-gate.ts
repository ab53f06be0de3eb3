// What Pulumi runs before it replaces or removes the database: takes a backup, and fails when there is none.
import type Docker from "dockerode";
import { EXIT } from "../agent/exit-codes.ts";
import { collectFromContainer } from "../scripts/run-in-container.ts";
import { isCutOffReplacement } from "./cut-off-replacement.ts";
import { engineClient, findEngine, unreachable } from "./engine.ts";
import { runStep, StepFailure } from "./step-main.ts";
import { unlessMissing } from "./unless-missing.ts";

interface Input {
  engine: string;
  namePrefix: string;
  /** Gates of older stacks have none. */
  stack?: string;
  /** Whether a stack without a database container is to go on: there is nothing to back up yet. */
  ifThere?: boolean;
}

/** A household's ledger is dumped in seconds; what takes longer than this is stuck. */
const DEADLINE_SECONDS = 3600;

/** A backup that was taken, read back, and could not be sent to the bucket. */
const NOT_SENT: readonly number[] = [EXIT.storeUnreachable, EXIT.storeRefused];

const WITHOUT_BACKUP =
  "BUDGIE_SKIP_BACKUP=1 pulumi up     # or destroy; DANGER: goes on without a backup, and what is lost then is lost";

await runStep<Input>(DEADLINE_SECONDS, async input => {
  if (process.env.BUDGIE_SKIP_BACKUP === "1") {
    process.stderr.write("WARNING: BUDGIE_SKIP_BACKUP=1: the database is changed WITHOUT a backup.\n");
    return "No backup was taken.";
  }
  return takeBackup(input).catch(error => {
    if (error instanceof StepFailure) throw error;
    throw refusal(
      `The container engine at ${input.engine} failed meanwhile, so it is not known how the backup ended: ${error.message}.`,
      "npx budgie status",
    );
  });
});

async function takeBackup(input: Input): Promise<string> {
  const engine = await findEngine(input.engine);
  if (!engine.reachable)
    throw refusal(unreachable(engine), "pulumi up     # or destroy: the same command again");
  const client = engineClient(engine.host);
  if (!(await inspect(client, `${input.namePrefix}-db`))) {
    if (input.ifThere) return "There is no database yet.";
    if (input.stack && (await isCutOffReplacement(input.stack)))
      return "The update before this one took the backup, before it removed the database's container.";
  }
  const agent = await runningContainer(client, "backup", input.namePrefix);
  await runningContainer(client, "db", input.namePrefix);
  const { code, stdout, stderr } = await collectFromContainer(agent, [
    "budgie-agent",
    "backup",
    "--reason",
    "before-change",
  ]);
  if (code === 0) return stdout.trim();
  if (NOT_SENT.includes(code)) {
    // The copy on this machine is what the change could destroy the source of; it is there.
    process.stderr.write(
      `WARNING: the backup was taken, but it was NOT sent off this machine.\n${stderr.trim()}\n`,
    );
    return stdout.trim();
  }
  throw refusal(stderr.trim() || `The backup ended with exit code ${code}.`, "npx budgie status");
}

/** Without either container there is nothing to take a backup with, or of. */
async function runningContainer(
  client: Docker,
  role: "db" | "backup",
  prefix: string,
): Promise<Docker.Container> {
  const name = `${prefix}-${role}`;
  const state = (await inspect(client, name))?.State.Status ?? "missing";
  if (state === "running") return client.getContainer(name);
  const next: Record<string, string> = {
    missing: "pulumi up --refresh",
    restarting: `npx budgie logs ${role}     # why it does not stay up`,
    paused: `docker unpause ${name}`,
  };
  throw refusal(`The container ${name} is ${state}.`, next[state] ?? "npx budgie start");
}

/** Undefined when there is no such container; throws for an engine that does not say. */
function inspect(client: Docker, name: string): Promise<Docker.ContainerInspectInfo | undefined> {
  return unlessMissing(client.getContainer(name).inspect());
}

function refusal(why: string, next: string): StepFailure {
  return new StepFailure(
    `The database is about to be replaced or removed, and no backup of it could be taken. Nothing of it was touched.\n${why}`,
    `${next}\n${WITHOUT_BACKUP}`,
  );
}
