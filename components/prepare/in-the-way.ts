import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import { composeProject } from "../../engine/compose-project.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { stopLine } from "../../engine/stop-line.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { otherServers } from "../../engine/volume-users.ts";
import { LABEL } from "../../shared/labels.ts";
import { containerName, databaseVolumeName, networkName, ROLES } from "../../shared/names.ts";
import type { StackState } from "./stack-state.ts";

/** What is on the engine, is not this stack's, and must go before it comes up. */
interface InTheWay {
  kind: "container" | "network";
  name: string;
  labels: Record<string, string> | undefined;
  running: boolean;
  /** What it does there, as the end of a sentence. */
  harm: string;
}

/**
 * Says what stands in the way of the stack, with the lines that remove it and keep every volume: another container at work on the
 * database's volume, where two servers would destroy the data; and containers and a network with the names that the stack's own
 * are to have. Most often that is what Budgie's compose file made.
 */
export async function inTheWayProblem(
  engine: Engine,
  state: StackState,
  namePrefix: string,
): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const client = engineClient(engine.host);
  const needed = ROLES.map(role => containerName(namePrefix, role));
  const [servers, containers, networks] = await Promise.all([
    serversInTheWay(client, namePrefix),
    foreignContainers(client, needed),
    foreignNetwork(client, state, namePrefix),
  ]);
  const named = containers.filter(({ name }) => !servers.some(server => server.name === name));
  const all = [...servers, ...named, ...networks];
  if (all.length === 0) return undefined;
  return [
    `On this container engine there is what this stack cannot come up beside: ${all.map(shown).join("; ")}. Nothing was changed.`,
    "Remove it; that keeps every volume, and so the data:",
    ...removal(engine.kind, all, needed).map(line => `  ${line}`),
  ].join("\n");
}

async function serversInTheWay(client: Docker, namePrefix: string): Promise<InTheWay[]> {
  return (await otherServers(client, namePrefix)).map(({ name, image, state, labels }) => ({
    kind: "container",
    name,
    labels,
    running: true,
    harm: `is at work on the volume ${databaseVolumeName(namePrefix)} (${image}, ${state}): two servers there would destroy the data`,
  }));
}

async function foreignContainers(client: Docker, needed: readonly string[]): Promise<InTheWay[]> {
  const asked = needed.map(name => unlessMissing(client.getContainer(name).inspect()));
  return (await Promise.all(asked)).flatMap((made, at) => {
    if (!made || isAStacks(made.Config.Labels)) return [];
    return [
      {
        kind: "container",
        name: needed[at] as string,
        labels: made.Config.Labels,
        running: made.State.Running,
        harm: "has a name that the stack needs",
      },
    ];
  });
}

/** One that the state knows is the stack's own, whatever its labels say: not every engine gives them back. */
async function foreignNetwork(client: Docker, state: StackState, namePrefix: string): Promise<InTheWay[]> {
  const name = networkName(namePrefix);
  if (state.resource("docker:index/network:Network", "network")?.outputs.name === name) return [];
  const made = await unlessMissing(client.getNetwork(name).inspect());
  if (!made || isAStacks(made.Labels)) return [];
  return [
    { kind: "network", name, labels: made.Labels, running: false, harm: "has the name of the stack's own" },
  ];
}

/** What belongs to another stack is for namePrefixProblem to say. */
function isAStacks(labels: Record<string, string> | undefined): boolean {
  return labels?.[LABEL.prefix] !== undefined;
}

function shown({ kind, name, labels, harm }: InTheWay): string {
  const project = composeProject(labels);
  return `the ${kind} ${name}${project === undefined ? "" : ` of the compose project ${project}`} ${harm}`;
}

/**
 * A server gets the time to write everything down. A container is removed as well where the stack needs its name, or where compose
 * would start it again with the engine. The network goes when nothing is in it.
 */
function removal(engine: Engine["kind"], all: readonly InTheWay[], needed: readonly string[]): string[] {
  const names = (fitting: (one: InTheWay) => boolean) => all.filter(fitting).map(({ name }) => name);
  const stop = names(({ running }) => running);
  const remove = names(
    ({ kind, name, labels }) =>
      kind === "container" && (needed.includes(name) || composeProject(labels) !== undefined),
  );
  const networks = names(({ kind }) => kind === "network");
  return [
    ...(stop.length > 0 ? [stopLine(engine, stop)] : []),
    ...(remove.length > 0 ? [`${engine} rm ${remove.join(" ")}`] : []),
    ...networks.map(name => `${engine} network rm ${name}`),
  ];
}
