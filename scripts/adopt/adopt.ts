import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import { type Engine, findEngine, unreachable } from "../../engine/find-engine.ts";
import { STOP_WITHIN_SECONDS } from "../../engine/stop-line.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { DATABASE_USER, databaseVolumeName, networkName } from "../../shared/names.ts";
import { askPulumi, isLocked, onStack, runTool, settingsIn, writeSettings } from "../stack/project-tools.ts";
import { type Stack, stacksOf } from "../stack/stack-containers.ts";
import { gigabytes } from "../stack/stack-lines.ts";
import { readStackSettings, type StackSettings } from "../stack/stack-settings.ts";
import { ask, isTerminal } from "../terminal/ask.ts";
import { copyVolume, requireRoomForCopy } from "../volume/volume-copy.ts";
import { shownFacts, type VolumeFacts, volumeFacts } from "../volume/volume-facts.ts";
import { adoptedImageName, type Fitting, fittingSettings } from "./fitting-settings.ts";
import { giveRole } from "./give-role.ts";
import { type Partition, partition } from "./in-adoptions-way.ts";
import { isOfAnotherSystem, lacksRole, lookInto, type OldData } from "./old-data.ts";
import {
  backendOf,
  chooseInstall,
  type FoundContainer,
  isInPlace,
  lookAround,
  type OldInstall,
  oldInstalls,
} from "./old-install.ts";

export interface AdoptOptions {
  /** The volume of the old install that is meant, where there are several. */
  volume?: string;
  /** Budgie's database, where the volume holds several. */
  database?: string;
  yes?: boolean;
  /** The stack's file, where it is not beside the program. */
  configFile?: string;
}

/** The stack that `npm run up` brings up. */
const FIRST_STACK = "dev";
/** Budgie's own API does not end by itself when it is told to. */
const OTHERS_STOP_WITHIN_SECONDS = 10;

const say = (line: string) => process.stdout.write(`${line}\n`);

/**
 * Takes over what Budgie's own compose file has set up: looks, says what it found and what fits, writes the settings after asking, stops
 * the old containers, removes them, and ends with `up`. Returns an exit code; throws a Stop.
 *
 * INVARIANT: no volume is removed, and the old one is never written to but by one server of its own kind. What can be refused is refused
 * before anything is stopped. After a kill at any place the old containers are there or can be made again by their compose file, on
 * every row; or the same command goes on.
 */
export async function adopt(name = FIRST_STACK, options: AdoptOptions): Promise<number> {
  const settings = await readStackSettings(name, options.configFile);
  const engine = await answeringEngine(settings);
  const stack = await stackOf(name, settings, engine);
  const found = await lookAround(engineClient(engine.host));
  const installs = oldInstalls(found, stack.prefix);
  if (installs.length === 0 && options.volume === undefined && (await hasData(stack)))
    return nothingLeft(stack, options);
  const install = chooseInstall(installs, { prefix: stack.prefix, volume: options.volume });
  const data = await lookInto(stack, install);
  const copied = await isCopied(stack, install, data.facts);
  if (copied && stack.containers.some(({ role }) => role === "database")) return nothingLeft(stack, options);

  const copies = !isInPlace(install, stack.prefix) && !copied;
  if (copies) await requireRoomForCopy(stack, install.volume as string, data.facts.kilobytes);
  const fitting = fittingSettings(install, data, settings, options.database);
  const places = partition(stack, install, found, settings);
  showInstall(stack, install, data);
  showSettings(stack, fitting, settings);
  showSteps(stack, install, data, { ...places, copies });
  await requireYes(options, `Take it over into the stack ${name}?`);

  await configure(stack, install, fitting, options);
  await stopOld(stack, install, places);
  const wayBack = startLine(stack, places);
  if (copies) await copyVolume(stack, install.volume as string, wayBack);
  if (lacksRole(data)) await giveRole(stack);
  await removeOld(stack, places);
  const code = await bringUp(stack, options);
  if (code === EXIT.done) showEnd(stack, install, places);
  else
    say(
      "[i] The old containers are gone, every row is there. When that is put right: npx budgie adopt, or npm run up",
    );
  return code;
}

async function answeringEngine(settings: StackSettings): Promise<Engine> {
  const engine = await findEngine(settings.get("engineHost"));
  if (engine.reachable) return engine;
  throw new Stop(
    EXIT.engineOrContainerMissing,
    `${unreachable(engine).split("\n")[0] ?? ""} Nothing was changed.`,
    "Start the engine that the old containers are on (systemctl start docker, podman machine start), or name it: npm run pulumi -- config set budgie:engineHost unix:///run/podman/podman.sock",
  );
}

async function stackOf(name: string, settings: StackSettings, engine: Engine): Promise<Stack> {
  const prefix = settings.get("namePrefix") ?? "";
  const known = (await stacksOf(engine)).find(stack => stack.prefix === prefix);
  if (!known || known.name === name) return known ?? { name, prefix, engine, containers: [] };
  throw new Stop(
    EXIT.usage,
    `The name prefix ${prefix} belongs to the stack ${known.name} on this container engine. Nothing was changed.`,
    `Give stack ${name} another one: npm run pulumi -- config set --stack ${name} budgie:namePrefix budgie-${name}`,
  );
}

/** Whether something of the stack is there: then an adoption was cut off after its last own step, or there never was one to do. */
async function hasData({ prefix, containers, engine }: Stack): Promise<boolean> {
  if (containers.length > 0) return true;
  const volume = await unlessMissing(
    engineClient(engine.host).getVolume(databaseVolumeName(prefix)).inspect(),
  );
  return volume?.Labels?.[LABEL.prefix] === prefix;
}

/** There is no old install any more that is not the stack's already. */
async function nothingLeft(stack: Stack, options: AdoptOptions): Promise<number> {
  say(
    `[✓] Nothing is left to take over: the stack ${stack.name} has its data in the volume ${databaseVolumeName(stack.prefix)}`,
  );
  await requireYes(options, "Bring the stack up?");
  return bringUp(stack, options);
}

/**
 * Whether the stack's volume holds what an old one of another name held, from a copy that was made before. Throws a Stop where it holds
 * something else, or where the old server has written since.
 */
async function isCopied(stack: Stack, install: OldInstall, old: VolumeFacts): Promise<boolean> {
  const volume = databaseVolumeName(stack.prefix);
  const there = await unlessMissing(engineClient(stack.engine.host).getVolume(volume).inspect());
  if (isInPlace(install, stack.prefix) || !there) return false;
  const own = await volumeFacts(stack);
  if (own.majorVersion === null) return false;
  const line = `${stack.engine.kind} volume rm ${volume}`;
  if (own.control?.systemIdentifier !== old.control?.systemIdentifier || !own.control)
    throw new Stop(
      EXIT.notConfirmed,
      `The stack ${stack.name} has data already, in the volume ${volume} (${shownFacts(own)}), and it is not that of ${install.volume}. Nothing was changed.`,
      `To give the old install a stack of its own: npm run pulumi -- config set budgie:namePrefix ANOTHER. To put the old data into this one, which sets aside what is there: dump it with its own server, then npx budgie restore FILE. To have the volume gone, when nothing in it is needed: ${line}`,
    );
  if (writtenAfter(old, own) || (install.database && install.database.state === "running"))
    throw new Stop(
      EXIT.notConfirmed,
      `The volume ${volume} is a copy of ${install.volume}, and the old server was started after it was made. Which of the two is right is yours to say. Nothing was changed.`,
      `If the old one is right, and nothing was done with the copy: ${line}, then run the same command again. If the copy is right, stop the old server, and: npm run up`,
    );
  say(`[i] The volume ${volume} holds what ${install.volume} held; that one stays as it is`);
  return true;
}

function writtenAfter(one: VolumeFacts, other: VolumeFacts): boolean {
  const at = ({ control }: VolumeFacts) => control?.writtenAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return at(one) > at(other);
}

function showInstall(stack: Stack, install: OldInstall, { facts, databases, roles }: OldData): void {
  const shown = (one: FoundContainer) => `${one.name} (${one.state})`;
  const first = roles.find(role => role.first)?.name ?? "unknown";
  say(`An old install of Budgie is on ${stack.engine.kind} (${stack.engine.host}):`);
  say(`  containers   ${install.containers.map(shown).join(", ") || "none; they are gone"}`);
  say(`  volume       ${install.volume}: ${shownFacts(facts)}`);
  say(`  databases    ${databases.map(({ name, bytes }) => `${name} (${gigabytes(bytes)})`).join(", ")}`);
  say(`  role         ${first}`);
}

function showSettings({ name }: Stack, { settings, notes }: Fitting, now: StackSettings): void {
  say(`The settings that fit, for the stack ${name}:`);
  for (const { name: setting, value, secret, why } of settings) {
    const before = now.get(setting);
    const changed = secret || before === value || !before ? "" : `, instead of ${before}`;
    say(`  budgie:${setting} ${secret ? "[secret]" : value}     # ${why}${changed}`);
  }
  for (const note of notes) say(`[!] ${note}`);
}

function showSteps(
  stack: Stack,
  install: OldInstall,
  data: OldData,
  { removed, left, copies }: Partition & { copies: boolean },
): void {
  const volume = databaseVolumeName(stack.prefix);
  say("What happens then:");
  say("  the settings are written, and judged by a preview; secrets are encrypted");
  for (const { container, why } of removed)
    say(`  ${container.name} is stopped and removed, its volumes are not: ${why}`);
  if (copies)
    say(
      `  the volume ${install.volume} is copied into ${volume} (${data.facts.size}); the old one stays as it is`,
    );
  if (lacksRole(data)) say(`  the database gets the role ${DATABASE_USER} beside those that it has`);
  say("  the stack comes up, with a first backup that is proven");
  if (left.length > 0)
    say(
      `Left alone: ${left.map(one => `${one.name} (${one.state})`).join(", ")}. They are no part of the stack.`,
    );
  if (isOfAnotherSystem(install))
    say(
      `[!] ${install.database?.name} ran on ${install.database?.image}, which may sort text in another way. When the stack is up: npx budgie reindex`,
    );
}

async function requireYes({ yes }: AdoptOptions, question: string): Promise<void> {
  if (yes) return;
  if (isTerminal() && (await ask(question, false))) return;
  throw new Stop(
    EXIT.notConfirmed,
    "Nobody said yes. Nothing was changed.",
    "To go on without being asked: npx budgie adopt --yes",
  );
}

/**
 * The old install runs on meanwhile. What the settings lack for the stack to come up, such as the bucket of `prod`, is said here, while
 * nothing has been stopped.
 */
async function configure(
  stack: Stack,
  install: OldInstall,
  { settings }: Fitting,
  options: AdoptOptions,
): Promise<void> {
  if (stack.name === FIRST_STACK) {
    const code = await runTool("setup", settingsIn(options));
    if (code !== EXIT.done)
      throw new Stop(
        EXIT.failed,
        "The tools are not there, as was said above. The old install is as it was.",
        "Put that right, then run the same command again. The same by itself: npm run setup",
      );
  }
  const backend = backendOf(install);
  const named = settings.find(({ name }) => name === "backendImage")?.value;
  if (backend && named === adoptedImageName(backend.imageId)) {
    const [repo = "", tag = ""] = named.split(":");
    await engineClient(stack.engine.host).getImage(backend.imageId).tag({ repo, tag });
  }
  await writeSettings(settings, { stack: stack.name, configured: settingsIn(options) });
  say("[✓] The settings are written; they are judged now...");
  const { code, stdout, stderr } = await askPulumi(["preview", ...onStack(stack.name, options)]);
  if (code === 0) return;
  throw new Stop(
    EXIT.failed,
    `The stack ${stack.name} does not come up with its settings. The old install is as it was. Pulumi says:\n${tail(`${stdout}\n${stderr}`)}`,
    "Put that right, then run the same command again.",
  );
}

function tail(text: string): string {
  return text.trim().split("\n").slice(-25).join("\n");
}

/** What the old install is started again with, as long as its containers are there. */
function startLine({ engine }: Stack, { removed }: Partition): string {
  const names = removed.map(({ container }) => container.name).reverse();
  const start = names.length > 0 ? `${engine.kind} start ${names.join(" ")}` : "docker compose up";
  return `Put that right, then run the same command again. To go on with the old install instead: ${start}`;
}

/** The API first, so that it does not ask a database that is gone. The server writes everything down before it ends. */
async function stopOld(stack: Stack, { database }: OldInstall, { removed }: Partition): Promise<void> {
  const client = engineClient(stack.engine.host);
  for (const { container } of removed) {
    const target = client.getContainer(container.id);
    const state = (await unlessMissing(target.inspect()))?.State;
    if (!state || !(state.Running || state.Paused || state.Restarting)) continue;
    say(`[i] Stopping ${container.name}...`);
    // What is paused hears no signal.
    if (state.Paused) await target.unpause();
    const within = container === database ? STOP_WITHIN_SECONDS : OTHERS_STOP_WITHIN_SECONDS;
    await unlessMissing(target.stop({ t: within })).catch(unlessStopped);
  }
}

function unlessStopped(error: { statusCode?: number }): void {
  if (error.statusCode !== 304) throw error;
}

/** Never with a volume. The database goes last: as long as it is there, an adoption that was cut off knows what it was. */
async function removeOld(stack: Stack, { removed }: Partition): Promise<void> {
  const client = engineClient(stack.engine.host);
  for (const { container } of removed) {
    await remove(container.name, client.getContainer(container.id).remove({ v: false }), stack);
    say(`[✓] ${container.name} is removed; its volumes are there`);
  }
  const network = client.getNetwork(networkName(stack.prefix));
  const made = await unlessMissing(network.inspect() as Promise<Docker.NetworkInspectInfo>);
  if (made && made.Labels?.[LABEL.prefix] === undefined)
    await remove(networkName(stack.prefix), network.remove(), stack);
}

async function remove(name: string, removing: Promise<unknown>, { engine }: Stack): Promise<void> {
  try {
    await unlessMissing(removing);
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `${name} could not be removed: ${(error as Error).message}. Every volume is there, and the old containers are stopped.`,
      `What depends on it must go first: ${engine.kind} ps -a shows it. Then run the same command again.`,
    );
  }
}

/** `recover` refuses while the update that holds the lock may still run. */
async function bringUp(stack: Stack, options: AdoptOptions): Promise<number> {
  if (await isLocked(stack.name)) {
    say("[i] An update of this stack was cut off. Its state is put right first (npm run recover)");
    const recovered = await runTool("recover", onStack(stack.name, options));
    if (recovered !== EXIT.done) return recovered;
  }
  if (stack.name === FIRST_STACK) return runTool("up", settingsIn(options));
  return runTool("pulumi", ["up", "--yes", "--skip-preview", ...onStack(stack.name, options)]);
}

function showEnd({ engine }: Stack, install: OldInstall, { left }: Partition): void {
  say(`[✓] The old install is taken over, with every row. Is it safe? npx budgie status`);
  if (install.volume !== null && left.length > 0)
    say(`[i] ${left.map(({ name }) => name).join(", ")} still ran on the old API; they are left alone`);
  say(
    "[i] The old compose file would make its containers again, and `down -v` in its folder removes volumes: move it away",
  );
  if (engine.kind === "podman") say("[i] After a reboot: docs/podman.md");
}
