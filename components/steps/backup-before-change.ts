import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import { findEngine, unreachable } from "../../engine/find-engine.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { upgradeVolume } from "../../engine/upgrade-volume.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { agentCommand, containerName, type Role, serviceName } from "../../shared/names.ts";
import { isInterruptedReplacement, type Program } from "./interrupted-replacement.ts";
import { StepFailure } from "./main.ts";

export interface BeforeChange {
  engine: string;
  namePrefix: string;
  /** Gates of older stacks have none. */
  stack?: string;
  /** The program that it belongs to. @default this project's own */
  program?: Program;
  /** Whether a stack without a database container is to go on: there is nothing to back up yet. */
  ifThere?: boolean;
  /** Whether the database is Amazon's: then there is no container of it to look at. */
  managed?: boolean;
}

/** A backup that was taken, read back, and could not be sent to the bucket. */
const NOT_SENT: readonly number[] = [EXIT.storeUnreachable, EXIT.storeRefused];

const WITHOUT_BACKUP =
  "BUDGIE_SKIP_BACKUP=1 npm run pulumi -- up     # or destroy; DANGER: goes on without a backup, and what is lost then is lost";

/** Takes a backup before the database is replaced or removed, and throws when there is none. */
export async function backupBeforeChange(input: BeforeChange): Promise<string> {
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
}

function ownProgram(stack: string): Program {
  return { folder: ".", stack, gate: "backup-gates-before-change", database: "database-container" };
}

async function takeBackup(input: BeforeChange): Promise<string> {
  const engine = await findEngine(input.engine);
  if (!engine.reachable)
    throw refusal(unreachable(engine), "npm run pulumi -- up     # or destroy: the same command again");
  const client = engineClient(engine.host);
  if (!input.managed) {
    const instead = await insteadOfBackup(client, input);
    if (instead !== undefined) return instead;
  }
  const agent = await runningContainer(client, "backup-agent", input.namePrefix);
  if (!input.managed) await runningContainer(client, "database", input.namePrefix);
  const { code, stdout, stderr } = await collectFromContainer(
    agent,
    agentCommand("backup", "--reason", "before-change"),
  );
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

/** Why no backup is needed, where the containers show that. */
async function insteadOfBackup(client: Docker, input: BeforeChange): Promise<string | undefined> {
  const database = await inspect(client, containerName(input.namePrefix, "database"));
  const kept = await upgradeVolume(client, input.namePrefix);
  // Its server is stopped, and was when the upgrade copied the volume and compared the two.
  if (kept && !database?.State.Running)
    return `The upgrade has taken the backup, and all of the volume is kept in ${kept}.`;
  if (!database) {
    if (input.ifThere) return "There is no database yet.";
    const program = input.program ?? (input.stack ? ownProgram(input.stack) : undefined);
    if (program && (await isInterruptedReplacement(program)))
      return "The update before this one took the backup, before it removed the database's container.";
  }
  return undefined;
}

/** Without either container there is nothing to take a backup with, or of. */
async function runningContainer(client: Docker, role: Role, prefix: string): Promise<Docker.Container> {
  const name = containerName(prefix, role);
  const state = (await inspect(client, name))?.State.Status ?? "missing";
  if (state === "running") return client.getContainer(name);
  const next: Record<string, string> = {
    missing: "npm run pulumi -- up --refresh",
    restarting: `npx budgie logs ${serviceName(role)}     # why it does not stay up`,
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
