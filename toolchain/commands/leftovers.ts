import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { LABEL, labelledAs } from "../../shared/labels.ts";
import type { Role } from "../../shared/names.ts";
import { say, sayDone, ToolchainError } from "../machine/say.ts";

/** What Pulumi was making when it was killed, as its state names it. */
export interface PendingCreate {
  kind: "container" | "network";
  name: string;
  stack: string;
  prefix: string;
}

/** As much of `pulumi stack export` as is read here. */
export interface ExportedState {
  deployment: {
    resources?: ExportedResource[];
    pending_operations?: { type: string; resource: ExportedResource }[];
  };
}

interface ExportedResource {
  type: string;
  id?: string;
  inputs?: { name?: string; host?: string; labels?: { label: string; value: string }[] };
}

const KINDS: Record<string, PendingCreate["kind"]> = {
  "docker:index/container:Container": "container",
  "docker:index/network:Network": "network",
};

/** The containers and networks whose creation had begun and not been written down. */
export function pendingCreates({ deployment }: ExportedState): PendingCreate[] {
  return (deployment.pending_operations ?? [])
    .filter(({ type }) => type === "creating")
    .flatMap(({ resource: { type, inputs } }) => {
      const kind = KINDS[type];
      const label = (name: string) => inputs?.labels?.find(({ label }) => label === name)?.value;
      const [stack, prefix] = [label(LABEL.stack), label(LABEL.prefix)];
      return kind && inputs?.name && stack && prefix ? [{ kind, name: inputs.name, stack, prefix }] : [];
    });
}

/** The engine that the state's containers are on. */
export function engineHost({ deployment }: ExportedState): string | undefined {
  return deployment.resources?.find(({ type }) => type === "pulumi:providers:docker")?.inputs?.host;
}

/** Everything that the state knows, by the engine's ids. */
export function knownIds({ deployment }: ExportedState): Set<string> {
  return new Set((deployment.resources ?? []).flatMap(({ id }) => (id ? [id] : [])));
}

/** PostgreSQL writes everything down before it ends; an agent ends its backup. */
const STOP_WITHIN_SECONDS = 90;
const FIRST_START_MS = 180_000;

/**
 * Removes what a killed update had just made and not yet written down: its name would be in the next update's way. That
 * is only what the update was making, by its name and labels, what the state does not know, and what is younger than the
 * update. Never removes a volume; a container holds no data. A database that is being set up may end that first, because
 * a volume whose first start was cut off holds half a database. Throws, with nothing removed, when that takes too long.
 *
 * @param since when the killed update began
 */
export async function removeLeftovers(
  docker: Docker,
  pending: readonly PendingCreate[],
  known: ReadonlySet<string>,
  since: Date | undefined,
): Promise<void> {
  // A network goes once nothing is in it.
  for (const create of [...pending].sort((a, b) => a.kind.localeCompare(b.kind))) {
    if (create.kind === "container") await removeContainer(docker, create, known, since);
    else await removeNetworks(docker, create, known, since);
  }
}

async function removeContainer(
  docker: Docker,
  create: PendingCreate,
  known: ReadonlySet<string>,
  since: Date | undefined,
): Promise<void> {
  const container = docker.getContainer(create.name);
  const info = await container.inspect().catch(nothingWhenMissing);
  if (!info || known.has(info.Id)) return;
  const labels = info.Config.Labels;
  const own = labels[LABEL.stack] === create.stack && labels[LABEL.prefix] === create.prefix;
  if (!own || !since || new Date(info.Created) < since) {
    throw new ToolchainError(
      `There is a container ${create.name} that this stack does not know, and ${own ? "it cannot be told whether" : "its labels do not say that"} the killed update made it. ` +
        "Nothing was changed. If no other stack uses it, this removes it and keeps its volume:\n" +
        `    docker stop -t ${STOP_WITHIN_SECONDS} ${create.name} && docker rm ${create.name}     # without -v\n` +
        "    npm run recover",
    );
  }
  if (labels[LABEL.role] === ("database" satisfies Role)) await letFirstStartEnd(docker, info);
  say(`Removing the container ${create.name}, which the killed update had just made; volumes stay...`);
  await container.stop({ t: STOP_WITHIN_SECONDS }).catch(nothingWhenStopped);
  await container.remove({ v: false });
  sayDone(`${create.name} is removed`);
}

/** By the container's own healthcheck, which is a query. A container that was never started has set nothing up. */
async function letFirstStartEnd(docker: Docker, info: Docker.ContainerInspectInfo): Promise<void> {
  if (!info.State.Running) return;
  const [, ...check] = info.Config.Healthcheck?.Test ?? [];
  const container = docker.getContainer(info.Id);
  const giveUpAt = Date.now() + FIRST_START_MS;
  for (;;) {
    if ((await collectFromContainer(container, check)).code === 0) return;
    if (!(await container.inspect()).State.Running) return;
    if (Date.now() > giveUpAt) {
      const name = info.Name.slice(1);
      throw new ToolchainError(
        `The database in ${name} is not up after ${FIRST_START_MS / 1000} seconds, and cutting off its first start would leave half a database. Nothing was removed. See why, then the same command again:\n    docker logs ${name}`,
      );
    }
    await sleep(500);
  }
}

async function removeNetworks(
  docker: Docker,
  create: PendingCreate,
  known: ReadonlySet<string>,
  since: Date | undefined,
): Promise<void> {
  const label = [labelledAs(LABEL.stack, create.stack), labelledAs(LABEL.prefix, create.prefix)];
  for (const { Id: id, Name: name, Created: created } of await docker.listNetworks({ filters: { label } })) {
    if (name !== create.name || known.has(id) || !since || new Date(created) < since) continue;
    const { Containers: inside = {} } = await docker.getNetwork(id).inspect();
    if (Object.keys(inside ?? {}).length > 0) continue;
    await docker.getNetwork(id).remove();
    sayDone(`The network ${name}, which the killed update had just made, is removed`);
  }
}

function nothingWhenMissing(error: { statusCode?: number }): undefined {
  if (error.statusCode !== 404) throw error;
}

function nothingWhenStopped(error: { statusCode?: number }): void {
  if (error.statusCode !== 304) throw error;
}
