import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { databaseVolumeName, type Role } from "../../shared/names.ts";
import { startContainers, stopContainers } from "../stack/containers.ts";
import { requireOnlyServer } from "../stack/only-server.ts";
import { containerOf, findStack, type Stack } from "../stack/stack-containers.ts";
import { askForText, isTerminal } from "../terminal/ask.ts";
import {
  emptiedInto,
  emptyInto,
  keepAside,
  keptVolumes,
  makeKept,
  noteBack,
  requireSpaceForCopy,
  waitForKilledWork,
} from "../volume/broken-volume.ts";
import { shownFacts, volumeFacts } from "../volume/volume-facts.ts";
import { requireIdleVolume } from "../volume/volume-idle.ts";
import { madeVolume } from "../volume/volume-list.ts";
import { type Diagnosis, diagnose } from "./database-health.ts";
import { fillServer, isFilled } from "./fill-server.ts";
import { notEnded, unfinishedUpgrade } from "./half-upgraded.ts";
import { planRecovery, type RecoveryPlan } from "./recovery-plan.ts";

export interface RecoverVolumeOptions {
  /** The backup to take, and no WAL. */
  backup?: string;
  /** The volume's name, typed in advance. */
  yesRecover?: string;
}

const say = (line: string) => process.stderr.write(`${line}\n`);

/**
 * For a database that does not start, or whose catalogues cannot be read. Keeps its volume aside under another name, byte for byte, makes
 * the volume new, and fills it from the newest backup, through the same door as any restore.
 *
 * INVARIANT: at any kill, the volume is as it was, or all of it is in the one that is kept. Notes in the volumes themselves say how far it
 * came, so the same command goes on from there, from whatever machine. The volume keeps its name and its container, so Pulumi sees no change.
 */
export async function recoverVolume(found: Stack, options: RecoverVolumeOptions): Promise<void> {
  const stack = await withAgent(found);
  await madeVolume(stack);
  await waitForKilledWork(stack);
  await requireNoUpgrade(stack);
  const begun = await begunRecovery(stack);
  if (begun?.databaseServes && (await isFilled(stack))) {
    say("[i] An earlier run was killed when the database was back already");
    await finish(stack, begun.kept);
    return;
  }
  if (!begun) sayWhatIsWrong(await requireBroken(await diagnose(stack), stack));
  else say(`[i] An earlier run has begun this: all of the broken volume is in ${begun.kept}`);
  const volume = databaseVolumeName(stack.prefix);
  if (!begun) {
    say(`[i] In the volume: ${shownFacts(await volumeFacts(stack))}`);
    await requireSpaceForCopy(stack);
  }
  const plan = await planRecovery(stack, options.backup);
  sayPlan(volume, begun?.kept ?? null, plan);
  await requireName(volume, stack, options);
  const kept = begun?.kept ?? (await makeKept(stack));
  await stopIn(await findStack(stack.prefix), begun?.databaseServes ? ["backend"] : ["backend", "database"]);
  if (!begun?.databaseServes) {
    await requireIdleVolume(stack);
    if (!begun) await keepAside(stack, kept);
    await makeNew(stack, kept);
  }
  await fillServer(await findStack(stack.prefix), plan);
  await finish(await findStack(stack.prefix), kept);
}

interface Begun {
  kept: string;
  /** Whether the new, empty server is there already. */
  databaseServes: boolean;
}

/** How far an earlier run came; null where none has begun, and where the new volume was broken again since: that one is kept, too. */
async function begunRecovery(stack: Stack): Promise<Begun | null> {
  const underWay = (await keptVolumes(stack))
    .filter(({ stage, upgrade }) => stage === "replacing" && upgrade === null)
    .at(-1)?.name;
  if (underWay === undefined) return null;
  if ((await emptiedInto(stack)) === underWay) return { kept: underWay, databaseServes: false };
  if ((await volumeFacts(stack)).entries === 0) return { kept: underWay, databaseServes: false };
  const { health } = await diagnose(stack);
  if (health === "stopped") {
    await requireOnlyServer(stack);
    await startContainers(stack, ["database"]);
    return { kept: underWay, databaseServes: true };
  }
  return health === "well" ? { kept: underWay, databaseServes: true } : null;
}

/** The agent says what there is to restore, and restores it. It needs no database to run. */
export async function withAgent(stack: Stack): Promise<Stack> {
  containerOf(stack, "database", "present");
  if (containerOf(stack, "backup-agent", "present").running) return stack;
  await startContainers(stack, ["backup-agent"]);
  return findStack(stack.prefix);
}

/** The volume is empty meanwhile, or of another version than the container, and all of it is kept elsewhere. */
async function requireNoUpgrade(stack: Stack): Promise<void> {
  const underWay = await unfinishedUpgrade(stack);
  if (underWay) throw notEnded(stack, underWay, "Nothing was changed.");
}

/** Throws a Stop where the volume is not what is wrong. */
async function requireBroken(diagnosis: Diagnosis, stack: Stack): Promise<Diagnosis> {
  const { health, says } = diagnosis;
  const { prefix, name } = stack;
  if (health === "broken") return diagnosis;
  if (
    health === "stopped" &&
    (await keptVolumes(stack)).some(({ stage, upgrade }) => stage === "copying" && !upgrade)
  )
    return { health: "broken", says: "An earlier run of this found it broken, stopped it, and was killed." };
  if (health === "well")
    throw new Stop(
      EXIT.notConfirmed,
      `The database of stack ${name} is well: it answers, and all its catalogues can be read. Nothing was changed.`,
      [
        `To go back to a backup, where a table is damaged or rows are gone: npx budgie --stack ${prefix} restore latest`,
        "After a pulumi that was killed: npm run recover",
      ].join("\n    "),
    );
  if (health === "stopped")
    throw new Stop(
      EXIT.notConfirmed,
      `The database of stack ${name} is stopped, and nothing shows that its volume is broken. Nothing was changed.`,
      `Start it: npx budgie --stack ${prefix} start db. Where it does not start then, run the same command again.`,
    );
  throw new Stop(
    EXIT.failed,
    `The database of stack ${name} does not serve, but its volume is not known to be broken. Nothing was changed. It says:\n${says}`,
    "Put that right; `npm run pulumi -- up` says more. Where its files are damaged all the same: stop it with `npx budgie stop db`, start it with `npx budgie start db`, and run the same command again.",
  );
}

function sayWhatIsWrong({ says }: Diagnosis): void {
  say("[!] The database does not serve. What it says last:");
  for (const line of says.split("\n")) say(`    ${line}`);
}

function sayPlan(volume: string, kept: string | null, { lines }: RecoveryPlan): void {
  say(
    kept === null
      ? `[i] The backend and the database are stopped. ${volume} is copied as it is to ${volume}-broken-DATE, and made new.`
      : `[i] ${volume} is made new, where it is not yet.`,
  );
  for (const line of lines) say(line);
}

async function requireName(volume: string, { prefix }: Stack, { yesRecover }: RecoverVolumeOptions) {
  if (yesRecover === volume) return;
  const asks = yesRecover === undefined && isTerminal();
  if (asks && (await askForText("To do it, type the volume's name:")).trim() === volume) return;
  throw new Stop(
    EXIT.notConfirmed,
    "The volume's name was not said. Nothing was changed.",
    `To do it without being asked: npx budgie --stack ${prefix} recover-volume --yes-recover ${volume}`,
  );
}

function stopIn(stack: Stack, roles: readonly Role[]): Promise<void> {
  return stopContainers(stack, rolesHere(stack, roles));
}

/** From an empty volume the image makes a new server, as for a new stack. */
async function makeNew(stack: Stack, kept: string): Promise<void> {
  const volume = databaseVolumeName(stack.prefix);
  if ((await volumeFacts(stack)).entries > 0) {
    say("[i] Comparing every byte of the two...");
    await emptyInto(stack, kept);
    say(`[✓] All of ${volume} is kept in ${kept}, byte for byte; ${volume} is empty`);
  }
  await startContainers(await findStack(stack.prefix), ["database"]);
}

async function finish(stack: Stack, kept: string): Promise<void> {
  // Where a new volume was broken again, more than one was on its way.
  for (const { name, stage, upgrade } of await keptVolumes(stack))
    if (stage === "replacing" && !upgrade) await noteBack(stack, name);
  say(`[✓] The database is back. The broken volume is kept: ${kept}`);
  await startContainers(stack, rolesHere(stack, ["backend"]));
  say(`    When you need it no more, which deletes it: ${stack.engine.kind} volume rm ${kept}`);
  say(`    Have a backup of what is there now: npx budgie --stack ${stack.prefix} backup`);
}

function rolesHere(stack: Stack, roles: readonly Role[]): Role[] {
  return roles.filter(role => stack.containers.some(container => container.role === role));
}
