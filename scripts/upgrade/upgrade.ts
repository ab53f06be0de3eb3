import { z } from "zod";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { MAJOR_VERSIONS, type MajorVersion } from "../../shared/database-image.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { agentCommand, databaseVolumeName } from "../../shared/names.ts";
import { shownUpgrade, UPGRADE_VARIABLE } from "../../shared/upgrade.ts";
import { fillServer, isFilled } from "../recover/fill-server.ts";
import { withAgent } from "../recover/recover-volume.ts";
import { planRecovery } from "../recover/recovery-plan.ts";
import { startContainers, stopContainers } from "../stack/containers.ts";
import { imageMajorVersion } from "../stack/major-version.ts";
import { askPulumi, isLocked, onStack, runTool, settingsIn, writeSettings } from "../stack/project-tools.ts";
import { containerOf, findStack, type Stack } from "../stack/stack-containers.ts";
import { readStackSettings, type StackSettings } from "../stack/stack-settings.ts";
import { ask, isTerminal } from "../terminal/ask.ts";
import { askAgent, runAgent } from "../to-agent/agent-command.ts";
import {
  emptiedInto,
  emptyInto,
  type KeptForUpgrade,
  type KeptVolume,
  keepAside,
  keptVolumes,
  makeKept,
  noteBack,
  requireSpaceForCopy,
  waitForKilledWork,
} from "../volume/broken-volume.ts";
import { shownFacts, type VolumeFacts, volumeFacts } from "../volume/volume-facts.ts";
import { requireIdleVolume } from "../volume/volume-idle.ts";
import { madeVolume } from "../volume/volume-list.ts";
import { clearVolume, putBack } from "./put-back.ts";

export interface UpgradeOptions {
  /** Back to the version and the data of before. */
  undo?: boolean;
  yes?: boolean;
  /** The stack's file, where it is not beside the program. */
  configFile?: string;
}

/** From one version to another. The way back is one as well. */
interface Journey extends Omit<KeptForUpgrade, "source"> {
  from: string;
  to: MajorVersion;
  /** Of the way back: the volume that has the data of before. */
  backTo: string | null;
  /** What an earlier run has kept, where all of the data of before is in it. */
  kept: KeptVolume | null;
}

/** The copy on this machine is what counts here. */
const NOT_SENT: readonly number[] = [EXIT.storeUnreachable, EXIT.storeRefused];

const say = (line: string) => process.stderr.write(`${line}\n`);
const retry = "Run the same command again: it goes on from there.";

/**
 * Moves the data of a stack to another major version of PostgreSQL, which opens no other one's files: takes a backup with the backend
 * stopped, keeps the volume aside, has Pulumi make the new server in the emptied volume, and restores into it through the same door as any
 * restore. With `undo` back again: what there is now is kept aside as well, and the data of before is copied back. Returns an exit code.
 *
 * INVARIANT: at any kill, the volume is as it was, or all of it is in the one that is kept. Notes in the volumes say how far it came
 * (broken-volume.ts), so the same command goes on from there. The backend is stopped until the data is back.
 */
export async function upgrade(found: Stack, options: UpgradeOptions): Promise<number> {
  const stack = await withAgent(found);
  await madeVolume(stack);
  await waitForKilledWork(stack);
  const settings = await readStackSettings(stack.name, options.configFile);
  const facts = await volumeFacts(stack);
  const journey = await journeyOf(stack, settings, facts, options);
  if (journey.kept === null) await prepare(stack, journey, facts, options);
  else say(`[i] An earlier run has begun this: all of the data of before is in ${journey.kept.name}`);
  const kept = journey.kept?.name ?? (await keep(await findStack(stack.prefix), journey));
  await makeRoom(await findStack(stack.prefix), journey, kept);
  if (journey.backTo !== null)
    await bringBack(await findStack(stack.prefix), journey, journey.backTo, options);
  await bringServer(await findStack(stack.prefix), journey, options);
  if (journey.backTo === null) await fill(await findStack(stack.prefix), kept);
  else await accept(await findStack(stack.prefix), journey.backTo);
  return finish(await findStack(stack.prefix), { journey, kept, settings, options });
}

async function journeyOf(
  stack: Stack,
  settings: StackSettings,
  facts: VolumeFacts,
  { undo = false }: UpgradeOptions,
): Promise<Journey> {
  const kept = (await keptVolumes(stack)).filter(
    (one): one is KeptVolume & { upgrade: KeptForUpgrade } => one.upgrade !== null && one.stage !== "copying",
  );
  const begun = await begunOf(stack, kept, facts, undo);
  const isBack = begun !== undefined && "volume" in begun.upgrade.source;
  const again = `npx budgie --stack ${stack.prefix} upgrade`;
  if (undo) {
    if (begun && "volume" in begun.upgrade.source) return journeyFrom(begun, begun.upgrade.source.volume);
    const before = begun ?? kept.filter(({ upgrade: { source } }) => "backup" in source).at(-1);
    // What an upgrade has not filled holds nothing that must be kept.
    if (begun && before && facts.majorVersion === null)
      return { ...back(before), kept: begun, backTo: before.name };
    if (before && facts.majorVersion !== before.upgrade.from) return { ...back(before), kept: null };
    throw new Stop(
      EXIT.notConfirmed,
      `There is no upgrade of stack ${stack.name} to go back from: its volume holds ${shownFacts(facts)}. Nothing was changed.`,
      "npx budgie volume list     # shows what is kept",
    );
  }
  if (isBack)
    throw new Stop(
      EXIT.busy,
      `The way back to PostgreSQL ${begun.upgrade.to} was begun and has not ended. Nothing was changed.`,
      `${again} --undo     # goes on with it`,
    );
  const wanted = settings.get("postgresVersion");
  if (begun && begun.upgrade.to !== wanted)
    throw new Stop(
      EXIT.busy,
      `An upgrade to PostgreSQL ${begun.upgrade.to} was begun and has not ended, and budgie:postgresVersion is ${wanted}. Nothing was changed.`,
      `npm run pulumi -- config set budgie:postgresVersion ${begun.upgrade.to}, then ${again}. To go back: ${again} --undo`,
    );
  if (begun) return journeyFrom(begun, null);
  return newJourney(stack, facts, wanted);
}

function newJourney(stack: Stack, facts: VolumeFacts, wanted: string | undefined): Journey {
  const { majorVersion: from } = facts;
  const to = MAJOR_VERSIONS.find(version => version === wanted);
  if (from === null)
    throw new Stop(
      EXIT.failed,
      `The volume ${databaseVolumeName(stack.prefix)} holds ${shownFacts(facts)}. There is nothing to upgrade.`,
      "`npm run pulumi -- preview` says what is there, and the way on.",
    );
  if (to === undefined || from === to)
    throw new Stop(
      EXIT.notConfirmed,
      `The stack ${stack.name} runs PostgreSQL ${from}, as budgie:postgresVersion says. Nothing was changed.`,
      `Say which version first: npm run pulumi -- config set budgie:postgresVersion ${MAJOR_VERSIONS.at(-1)}`,
    );
  if (Number(to) > Number(from)) return { from, to, backTo: null, kept: null };
  throw new Stop(
    EXIT.notConfirmed,
    `The stack ${stack.name} runs PostgreSQL ${from}, and budgie:postgresVersion is ${to}. A newer version's backup does not load into an older one. Nothing was changed.`,
    `To stay: npm run pulumi -- config set budgie:postgresVersion ${from}. To go back to the data of before an upgrade: npx budgie --stack ${stack.prefix} upgrade --undo`,
  );
}

function journeyFrom(kept: KeptVolume & { upgrade: KeptForUpgrade }, backTo: string | null): Journey {
  return { from: kept.upgrade.from, to: kept.upgrade.to as MajorVersion, backTo, kept };
}

function back({ name, upgrade }: KeptVolume & { upgrade: KeptForUpgrade }): Omit<Journey, "kept"> {
  return { from: upgrade.to, to: upgrade.from as MajorVersion, backTo: name };
}

/**
 * The upgrade that an earlier run has begun. One whose volume still has its PG_VERSION, and no note of where all of it is, has changed
 * nothing: it begins anew, because the server may have been started since, and have written. Where that server found an emptied volume, it
 * has made a new database there, and is filled from the backup first. On the way back there is nothing to fill: that database is kept aside, too.
 */
async function begunOf<Kept extends KeptVolume & { upgrade: KeptForUpgrade }>(
  stack: Stack,
  kept: readonly Kept[],
  facts: VolumeFacts,
  undo: boolean,
): Promise<Kept | undefined> {
  const begun = kept.filter(({ stage }) => stage === "replacing").at(-1);
  if (!begun) return undefined;
  if (facts.majorVersion !== begun.upgrade.from || (await emptiedInto(stack)) === begun.name) return begun;
  if (await isMadeAnew(stack, begun, facts)) {
    const isBack = "volume" in begun.upgrade.source;
    // The other command says that it has not ended, and which one goes on.
    if (isBack && !undo) return begun;
    say(
      `[!] A server was started on the emptied volume, and has made a new database of PostgreSQL ${begun.upgrade.from} there. All of the data of before is in ${begun.name}.`,
    );
    if (!isBack) await fill(await findStack(stack.prefix), begun.name);
  }
  await noteBack(stack, begun.name);
  return undefined;
}

/**
 * Whether somebody has started a server on the emptied volume, which has made a database there, of the version of before; and nobody has
 * restored into it since. Unknown is no: then the two are compared byte for byte before anything is removed.
 */
async function isMadeAnew(stack: Stack, { name }: KeptVolume, facts: VolumeFacts): Promise<boolean> {
  const own = facts.control?.systemIdentifier;
  const before = (await volumeFacts(stack, { volume: name })).control?.systemIdentifier;
  if (!own || !before || own === before) return false;
  if (!containerOf(stack, "database", "present").running) await startContainers(stack, ["database"]);
  return !(await isFilled(await findStack(stack.prefix)));
}

/** What can be refused is refused here, while everything runs. */
async function prepare(
  stack: Stack,
  journey: Journey,
  facts: VolumeFacts,
  options: UpgradeOptions,
): Promise<void> {
  const { from, to, backTo } = journey;
  say(`[i] In the volume: ${shownFacts(facts)}`);
  await requireSpaceForCopy(stack);
  if (backTo === null) await judgeSettings(stack, journey, options);
  const volume = databaseVolumeName(stack.prefix);
  say(
    `[i] PostgreSQL ${from} becomes ${to}. The backend and the database are stopped meanwhile. ${volume} is copied as it is to ${volume}-pg${from}-DATE, which stays.`,
  );
  if (backTo === null) say("[i] It is made new, and filled from a backup that is taken first.");
  else
    say(
      `[!] It gets back what it had before the upgrade, from ${backTo}. What was written since is in the copy, and in a backup that PostgreSQL ${from} can load.`,
    );
  if (await receivesWal(stack))
    say(
      `[!] Point in time: moments from before now stay restorable by PostgreSQL ${from} alone. A new chain begins with the new server.`,
    );
  if (options.yes || (isTerminal() && (await ask(`Go from PostgreSQL ${from} to ${to}?`, false)))) return;
  throw new Stop(
    EXIT.notConfirmed,
    "Nobody said yes. Nothing was changed.",
    `To do it without being asked: npx budgie --stack ${stack.prefix} upgrade${backTo === null ? "" : " --undo"} --yes`,
  );
}

/** Gets the new version's image, too. */
async function judgeSettings(stack: Stack, journey: Journey, options: UpgradeOptions): Promise<void> {
  say(`[i] The settings are judged, with PostgreSQL ${journey.to}...`);
  const { code, stdout, stderr } = await askPulumi(
    ["preview", ...onStack(stack.name, options)],
    undefined,
    upgrading(journey),
  );
  if (code === 0) return;
  throw new Stop(
    EXIT.failed,
    `The stack ${stack.name} does not come up with its settings. Nothing was changed. Pulumi says:\n${tail(`${stdout}\n${stderr}`)}`,
    "Put that right, then run the same command again.",
  );
}

async function receivesWal(stack: Stack): Promise<boolean> {
  const { stdout } = await askAgent(stack, { args: ["status", "--json"] });
  const status = z.object({ pointInTime: z.unknown() }).safeParse(JSON.parse(stdout || "{}"));
  return Boolean(status.data?.pointInTime);
}

/** Takes the backup with nobody writing, and copies the volume. Until that is done, what runs is the old server on its old volume. */
async function keep(stack: Stack, journey: Journey): Promise<string> {
  await stopContainers(stack, ["backend"]);
  try {
    const serves = await isServing(stack, journey);
    // On the way back from a server that does not serve, the copy alone is kept.
    if (!serves && journey.backTo === null) await startContainers(stack, ["database"]);
    const backup = serves || journey.backTo === null ? await backUp(stack) : null;
    await stopContainers(await findStack(stack.prefix), ["database"]);
    await requireIdleVolume(stack);
    const source = journey.backTo === null ? { backup: backup ?? "" } : { volume: journey.backTo };
    const kept = await makeKept(stack, { from: journey.from, to: journey.to, source });
    await keepAside(stack, kept);
    return kept;
  } catch (error) {
    await startContainers(await findStack(stack.prefix), ["database", "backend"]).catch((failed: Error) =>
      say(`[!] ${failed.message} Try: npx budgie --stack ${stack.prefix} start`),
    );
    throw error;
  }
}

async function isServing(stack: Stack, { from }: Journey): Promise<boolean> {
  const { container, running } = containerOf(stack, "database", "present");
  return running && (await imageMajorVersion(container)) === from && (await isFilled(stack));
}

async function backUp(stack: Stack): Promise<string> {
  let said = "";
  const heard = (text: string) => {
    said += text;
  };
  const args = ["backup", "--pin", "--reason", "before-change"];
  const code = await runAgent(stack, { args, heard });
  const name = /(budgie_\d{8}_\d{6}\S*?) stays until/.exec(said)?.[1];
  if ((code === EXIT.done || NOT_SENT.includes(code)) && name) return name;
  throw new Stop(
    code === EXIT.done ? EXIT.failed : (code as Stop["code"]),
    "No backup could be taken, as was said above, so nothing was changed.",
    "Put that right, then run the same command again. npx budgie status",
  );
}

/** Empties the volume once all of it is known to be in `kept`. Goes on with what a killed one has left. */
async function makeRoom(stack: Stack, { from, to }: Journey, kept: string): Promise<void> {
  const facts = await volumeFacts(stack);
  if (facts.majorVersion === to) return;
  if (facts.entries === 0) return;
  await requireStopped(stack);
  const volume = databaseVolumeName(stack.prefix);
  if (facts.majorVersion === from || (await emptiedInto(stack)) !== null) {
    say("[i] Comparing every byte of the two...");
    await emptyInto(stack, (await emptiedInto(stack)) ?? kept);
    say(`[✓] All of ${volume} is kept in ${kept}, byte for byte; ${volume} is empty`);
  } else await clearVolume(stack);
}

/** A container that was started on the emptied volume would write into it. */
async function requireStopped(stack: Stack): Promise<void> {
  await stopContainers(stack, ["backend", "database"]);
  await requireIdleVolume(stack);
}

async function bringBack(
  stack: Stack,
  { to }: Journey,
  kept: string,
  { configFile }: UpgradeOptions,
): Promise<void> {
  if ((await volumeFacts(stack)).majorVersion !== to) {
    await requireStopped(stack);
    say(`[i] Copying ${kept} back...`);
    await putBack(stack, kept);
    say(`[✓] ${databaseVolumeName(stack.prefix)} holds what it held before`);
  }
  await writeSettings([{ name: "postgresVersion", value: to, secret: false }], {
    stack: stack.name,
    configured: settingsIn({ configFile }),
  });
}

/**
 * Has Pulumi put the new server and its agent there. That `up` ends before the backend, because the new server is not yet the one that the
 * backups came from.
 */
async function bringServer(stack: Stack, journey: Journey, options: UpgradeOptions): Promise<void> {
  await stopContainers(stack, ["backend"]);
  if (await isServingNew(stack, journey)) return;
  await putStateRight(stack, options);
  say(`[i] Pulumi makes PostgreSQL ${journey.to}, and a backup agent of that version...`);
  const args = ["up", "--yes", "--skip-preview", ...onStack(stack.name, options)];
  const { stdout, stderr } = await askPulumi(args, undefined, upgrading(journey));
  if (await isServingNew(await findStack(stack.prefix), journey)) return;
  throw new Stop(
    EXIT.failed,
    `PostgreSQL ${journey.to} is not there yet; nothing of the old data is lost. Pulumi says:\n${tail(`${stdout}\n${stderr}`)}`,
    `${retry} To go back: npx budgie --stack ${stack.prefix} upgrade --undo`,
  );
}

async function isServingNew(stack: Stack, { to }: Journey): Promise<boolean> {
  for (const role of ["database", "backup-agent"] as const) {
    const found = stack.containers.find(container => container.role === role);
    if (!found || (await imageMajorVersion(found.container)) !== to) return false;
    if (!found.running) await startContainers(stack, [role]);
  }
  const now = await findStack(stack.prefix);
  const { container } = containerOf(now, "backup-agent");
  const { code } = await collectFromContainer(container, agentCommand("check-identity"));
  return code === EXIT.done || code === EXIT.anotherDatabase;
}

async function fill(stack: Stack, kept: string): Promise<void> {
  if (await isFilled(stack)) return;
  const upgrade = (await keptVolumes(stack)).find(({ name }) => name === kept)?.upgrade;
  if (!upgrade || !("backup" in upgrade.source))
    throw new Error(`${kept} does not say which backup it needs`);
  const plan = await planRecovery(stack, upgrade.source.backup);
  for (const line of plan.lines) say(line);
  await fillServer(stack, plan).catch((error: unknown) => {
    if (!(error instanceof Stop)) throw error;
    throw new Stop(
      error.code,
      error.message,
      `${retry} Where the backup does not load into PostgreSQL ${upgrade.to}, go back: npx budgie --stack ${stack.prefix} upgrade --undo`,
    );
  });
}

/** The agent knows the newer server as the stack's own. That this is the one of before is known from its files. */
async function accept(stack: Stack, backTo: string): Promise<void> {
  const own = (await volumeFacts(stack)).control?.systemIdentifier;
  const before = (await volumeFacts(stack, { volume: backTo })).control?.systemIdentifier;
  if (!own || own !== before)
    throw new Stop(
      EXIT.anotherDatabase,
      `The server that runs (${own ?? "unknown"}) is not the one of ${backTo} (${before ?? "unknown"}). The backend stays stopped.`,
      "See with `npx budgie psql` what is there; `npx budgie volume list` shows what is kept.",
    );
  const code = await runAgent(stack, { args: ["accept-database"] });
  if (code !== EXIT.done)
    throw new Stop(code as Stop["code"], "The server of before is there, and could not be accepted.", retry);
}

interface Ending {
  journey: Journey;
  kept: string;
  settings: StackSettings;
  options: UpgradeOptions;
}

async function finish(stack: Stack, { journey, kept, settings, options }: Ending): Promise<number> {
  // An `up` starts no stopped container on every engine.
  if (stack.containers.some(({ role }) => role === "backend")) await startContainers(stack, ["backend"]);
  await putStateRight(stack, options);
  const code = await runTool("pulumi", ["up", "--yes", "--skip-preview", ...onStack(stack.name, options)]);
  if (code !== EXIT.done)
    throw new Stop(
      EXIT.failed,
      "The data is there, and the stack is not yet whole, as Pulumi says above.",
      `Put that right, then: npx budgie --stack ${stack.prefix} upgrade${journey.backTo === null ? "" : " --undo"}`,
    );
  const now = await findStack(stack.prefix);
  for (const { name, stage, upgrade } of await keptVolumes(now))
    if (stage === "replacing" && upgrade) await noteBack(now, name);
  const proven = settings.get("backupSchedule") === "" ? await proveAnew(now) : EXIT.done;
  say(`[✓] The stack ${now.name} runs PostgreSQL ${journey.to}. What there was before is kept: ${kept}`);
  if (journey.backTo === null)
    say(`    Back to it, with its data: npx budgie --stack ${now.prefix} upgrade --undo`);
  say(`    When you need it no more, which deletes it: ${now.engine.kind} volume rm ${kept}`);
  return proven;
}

/** A stack that takes backups by itself has had this from the `up`. */
async function proveAnew(stack: Stack): Promise<number> {
  const code = await runAgent(stack, { args: ["backup"] });
  return code === EXIT.done ? runAgent(stack, { args: ["drill", "latest"] }) : code;
}

/** An update that was killed holds its lock for ever. */
async function putStateRight(stack: Stack, options: UpgradeOptions): Promise<void> {
  if (!(await isLocked(stack.name))) return;
  say("[i] An update of this stack was cut off. Its state is put right first (npm run recover)");
  const code = await runTool("recover", onStack(stack.name, options));
  if (code !== EXIT.done) throw new Stop(code as Stop["code"], "The state could not be put right.", retry);
}

function upgrading(journey: Journey): NodeJS.ProcessEnv {
  return { [UPGRADE_VARIABLE]: shownUpgrade(journey) };
}

function tail(text: string): string {
  return text.trim().split("\n").slice(-25).join("\n");
}
