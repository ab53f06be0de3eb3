import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { engineTraits } from "../../engine/traits.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { databaseVolumeName, networkName, replicaContainerName } from "../../shared/names.ts";
import { onStack, runTool, settingsIn, writeSettings } from "../stack/project-tools.ts";
import { choose, type Stack, stacksOf } from "../stack/stack-containers.ts";
import { readStackSettings } from "../stack/stack-settings.ts";
import { stopForGood } from "../stack/stop-for-good.ts";
import { requireYesToPlan } from "../terminal/ask.ts";
import {
  emptyInto,
  keepAside,
  keptVolumes,
  makeKept,
  noteBack,
  requireSpaceForCopy,
} from "../volume/broken-volume.ts";
import { volumeFacts } from "../volume/volume-facts.ts";

export interface RejoinOptions {
  /** The engine of the old machine. */
  host: string;
  /** Where the database's machine is reached from there. */
  address: string;
  yes?: boolean;
  configFile?: string;
}

const say = (line: string) => process.stderr.write(`${line}\n`);

/**
 * Makes a machine that had the stack before a failover a replica. Its old data may hold rows that never reached the new database, so it is
 * kept aside, byte for byte, and the replica is a new copy.
 *
 * INVARIANT: nothing is touched on the engine that the database is on, whatever address leads to it. The old volume is emptied only when
 * what is kept holds the same. Whenever this is killed, the same command goes on.
 */
export async function rejoin(wanted: string | undefined, options: RejoinOptions): Promise<number> {
  const stack = wanted ?? "dev";
  const settings = await readStackSettings(stack, options.configFile);
  const prefix = settings.get("namePrefix") ?? "budgie";
  const old = await oldStack(stack, prefix, options.host);
  await requireOtherEngine(old, settings.get("engineHost"));
  const known = (settings.get("replicaHosts") ?? "").split(/\s+/).includes(options.host);
  const already = known && (await hasReplica(old));
  const hasData = !already && (await hasVolume(old));
  for (const line of shownPlan(old, hasData, options)) say(line);
  await requireYesToPlan(options);
  if (!already) await removeContainers(old);
  const kept = hasData ? await keepData(old) : undefined;
  await nameReplica(stack, settings, options);
  const code = await runTool("pulumi", ["up", "--yes", "--skip-preview", ...onStack(stack, options)]);
  if (code !== EXIT.done)
    throw new Stop(
      EXIT.failed,
      "The old machine is ready to have a replica, and the stack is not yet whole, as Pulumi says above.",
      "Put that right, then: npm run up",
    );
  say(`[✓] ${options.host} has a replica, which follows the database`);
  if (kept)
    say(
      `    What was there before is kept: ${kept}. To delete it, there: ${old.engine.kind} volume rm ${kept}`,
    );
  return EXIT.done;
}

/** By what the engines are, and not by their addresses. */
async function requireOtherEngine({ engine }: Stack, ownHost: string | undefined): Promise<void> {
  const own = await findEngine(ownHost || undefined);
  if (!own.reachable)
    throw new Stop(
      EXIT.engineOrContainerMissing,
      `The database's own container engine does not answer at ${own.host}, so nobody can see whether it is the same. Nothing was changed.`,
      "Start it, and run the same command again.",
    );
  const [one, other] = await Promise.all([engineTraits(own), engineTraits(engine)]);
  if (one.identity !== other.identity) return;
  throw new Stop(
    EXIT.usage,
    `${engine.host} leads to the engine that the database is on. Nothing was changed.`,
    "Name the machine that had it before: npx budgie rejoin --host ssh://USER@HOST --address ADDRESS",
  );
}

async function hasReplica({ engine, prefix }: Stack): Promise<boolean> {
  const container = engineClient(engine.host).getContainer(replicaContainerName(prefix));
  return (await unlessMissing(container.inspect())) !== undefined;
}

/** What is left of the stack there. */
async function oldStack(stack: string, prefix: string, host: string): Promise<Stack> {
  const engine = await findEngine(host);
  if (!engine.reachable)
    throw new Stop(
      EXIT.engineOrContainerMissing,
      `No container engine answers at ${host} (${engine.problem ?? "no answer"}). Nothing was changed.`,
      "Start it, and run the same command again.",
    );
  const known = (await stacksOf(engine)).filter(stack => stack.prefix === prefix);
  return known[0] ? choose(known, prefix) : { name: stack, prefix, engine, containers: [] };
}

async function hasVolume({ engine, prefix }: Stack): Promise<boolean> {
  const volume = engineClient(engine.host).getVolume(databaseVolumeName(prefix));
  return (await unlessMissing(volume.inspect())) !== undefined;
}

function shownPlan(
  { containers, engine, prefix }: Stack,
  hasData: boolean,
  { address }: RejoinOptions,
): string[] {
  const there = containers.map(({ name, state }) => `${name} (${state})`).join(", ");
  return [
    `The machine of ${engine.host} becomes a replica of the database at ${address}:`,
    ...(there ? [`  1. These containers of before are stopped and removed there: ${there}.`] : []),
    ...(hasData
      ? [
          `  2. The volume ${databaseVolumeName(prefix)} is copied to another name there, compared, and made new.`,
        ]
      : []),
    "  3. The stack gets a replica there, which copies the whole database.",
  ];
}

/** The database last, with time to write everything down: its volume is looked at next. */
async function removeContainers({ containers, engine, prefix }: Stack): Promise<void> {
  for (const { container, name } of [...containers].reverse()) {
    await stopForGood(container);
    await container.remove({ v: false });
    say(`[✓] ${name} is gone from the old machine`);
  }
  const client = engineClient(engine.host);
  // One that a failover to another machine has left behind.
  const replica = client.getContainer(replicaContainerName(prefix));
  if (await unlessMissing(replica.inspect())) {
    await stopForGood(replica);
    await replica.remove({ v: false });
  }
  await unlessMissing(client.getNetwork(networkName(prefix)).remove());
}

/** Where it is kept; undefined for a volume that held nothing. */
async function keepData(stack: Stack): Promise<string | undefined> {
  const old: Stack = { ...stack, containers: [] };
  const begun = (await keptVolumes(old)).find(
    ({ stage, upgrade }) => stage === "replacing" && upgrade === null,
  );
  if (!begun && (await volumeFacts(old)).entries === 0) return undefined;
  if (!begun) await requireSpaceForCopy(old);
  const kept = begun?.name ?? (await makeKept(old));
  if (!begun) await keepAside(old, kept);
  await emptyInto(old, kept);
  await noteBack(old, kept);
  say(`[✓] The old data is kept: ${kept}`);
  return kept;
}

async function nameReplica(
  stack: string,
  settings: ReadonlyMap<string, string>,
  { host, address, configFile }: RejoinOptions,
): Promise<void> {
  const hosts = (settings.get("replicaHosts") ?? "").split(/\s+/).filter(Boolean);
  const all = hosts.includes(host) ? hosts : [...hosts, host];
  const configured = settingsIn({ configFile });
  await writeSettings(
    [
      { name: "replicaHosts", value: all.join(" "), secret: false },
      { name: "replicationAddress", value: address, secret: false },
    ],
    { stack, configured },
  );
}
