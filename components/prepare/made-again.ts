import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import { STOP_WITHIN_SECONDS } from "../../engine/stop-line.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { LABEL } from "../../shared/labels.ts";
import { containerName, DATABASE_USER, networkName, ROLES, type Role } from "../../shared/names.ts";
import { withDeadline } from "../../shared/with-deadline.ts";
import { backupBeforeChange } from "../steps/backup-before-change.ts";
import { giveBackFiles, type Uploaded } from "../steps/give-back-files.ts";
import { StepFailure } from "../steps/main.ts";
import { rememberedData } from "./known-data.ts";
import type { StackState } from "./stack-state.ts";

/** What the containers are called in the state. */
const RESOURCES: Readonly<Record<Role, string>> = {
  database: "database-container",
  "object-store": "object-store-container",
  "backup-agent": "backup-agent-container",
  backend: "backend-container",
};
const TYPE = "docker:index/container:Container";

/** A container of the stack's that is not the one which the stack made. */
export interface LostContainer {
  role: Role;
  /** The one that the state knows, and that is gone; undefined after a refresh, which forgets it. */
  known: string | undefined;
  /** The one that has its name and its labels now. */
  other: Docker.ContainerInspectInfo | undefined;
}

/**
 * The containers that something else than the stack removed, or made again from what it inspected, as Watchtower and Portainer do. Such
 * a one lacks the secret files that Pulumi put into it, and Pulumi, which knows it by its id, sees no difference without a refresh.
 * After one, the name is in its way. What a stack never made, or another one made, is not among them.
 */
export async function lostContainers(
  engine: Engine,
  state: StackState,
  namePrefix: string,
  stack: string,
): Promise<LostContainer[]> {
  if (!engine.reachable) return [];
  const client = engineClient(engine.host);
  const found = await Promise.all(
    ROLES.map(async role => {
      const known = knownId(state, role);
      if (known === undefined && rememberedData(state) === undefined) return [];
      const named = await unlessMissing(client.getContainer(containerName(namePrefix, role)).inspect());
      if (known !== undefined && (named?.Id === known || (await isThere(client, known)))) return [];
      const own = named?.Config.Labels;
      const ours =
        own?.[LABEL.prefix] === namePrefix && own[LABEL.stack] === stack && own[LABEL.role] === role;
      if (known === undefined && !ours) return [];
      return [{ role, known, other: ours ? named : undefined }];
    }),
  );
  return found.flat();
}

function knownId(state: StackState, role: Role): string | undefined {
  const { id } = state.resource(TYPE, RESOURCES[role])?.outputs ?? {};
  return typeof id === "string" ? id : undefined;
}

async function isThere(client: Docker, id: string): Promise<boolean> {
  return (await unlessMissing(client.getContainer(id).inspect())) !== undefined;
}

/**
 * What marks each container that took a lost one's place. The mark is one of its labels, so another mark makes Pulumi replace it; the
 * same one is no difference.
 */
export function placeMarks(state: StackState, lost: readonly LostContainer[]): Partial<Record<Role, string>> {
  const marks = ROLES.flatMap(role => {
    const known = lost.find(one => one.role === role)?.known;
    const mark = known?.slice(0, 12) ?? markedSince(state, role);
    return mark === undefined ? [] : [[role, mark] as const];
  });
  return Object.fromEntries(marks);
}

function markedSince(state: StackState, role: Role): string | undefined {
  const { labels } = state.resource(TYPE, RESOURCES[role])?.outputs ?? {};
  if (!Array.isArray(labels)) return undefined;
  return (labels as { label: string; value: string }[]).find(({ label }) => label === LABEL.inPlaceOf)?.value;
}

/** For the operator, before anything of it is done. */
export function describeLost(lost: readonly LostContainer[], namePrefix: string): string | undefined {
  const named = (fitting: readonly LostContainer[]) =>
    fitting.map(({ role }) => containerName(namePrefix, role)).join(", ");
  const again = lost.filter(({ other }) => other !== undefined);
  const gone = lost.filter(({ other }) => other === undefined);
  const says = [
    ...(again.length > 0 ? [`something else than the stack made ${named(again)} again`] : []),
    ...(gone.length > 0 ? [`something else than the stack removed ${named(gone)}`] : []),
  ].join("; ");
  return (
    says && `${says.replace(/^s/, "S")}. An \`up\` makes what is missing, and the other as the stack has it.`
  );
}

/**
 * Removes the containers that have the place of the stack's own. No volume goes, and the database goes only once there is a backup of
 * it: its files are given back for that where it does not serve without them. At any kill what is left is one server on the volume or
 * none, and the next `up` goes on here.
 */
export async function makeWay(
  engine: Engine,
  state: StackState,
  namePrefix: string,
  lost: readonly LostContainer[],
): Promise<void> {
  const client = engineClient(engine.host);
  const others = lost.flatMap(({ role, other }) => (other ? [{ role, id: other.Id }] : []));
  if (others.some(({ role }) => role === "database")) {
    const needed = others.filter(({ role }) => role === "database" || role === "backup-agent");
    for (const { role, id } of needed) {
      await joinNetwork(client, namePrefix, id);
      await makeServe(client.getContainer(id), role, uploadedFiles(state, role));
    }
    await backupBeforeChange({ engine: engine.host, namePrefix }).catch(error => {
      throw error instanceof StepFailure
        ? new Error(`${error.message}\nWhat to type next:\n${error.next.replace(/^/gm, "  ")}`)
        : error;
    });
  }
  // The API first, so that it does not ask a database that is gone.
  for (const { id } of others.reverse()) {
    const container = client.getContainer(id);
    await container.stop({ t: STOP_WITHIN_SECONDS }).catch((error: { statusCode?: number }) => {
      if (error.statusCode !== 304) throw error;
    });
    await container.remove({ v: false });
  }
}

function uploadedFiles(state: StackState, role: Role): Uploaded[] {
  const { uploads } = state.resource(TYPE, RESOURCES[role])?.outputs ?? {};
  return Array.isArray(uploads) ? (uploads as Uploaded[]) : [];
}

/** In another network the agent does not find the database. */
async function joinNetwork(client: Docker, namePrefix: string, id: string): Promise<void> {
  const name = networkName(namePrefix);
  const { NetworkSettings: settings } = await client.getContainer(id).inspect();
  if (name in settings.Networks) return;
  await unlessMissing(client.getNetwork(name).connect({ Container: id }));
}

const SERVES_WITHIN_MS = 90_000;
const ANSWER_WITHIN_MS = 10_000;

async function makeServe(container: Docker.Container, role: Role, files: readonly Uploaded[]): Promise<void> {
  if (role === "database" && (await answers(container))) return;
  await giveBackFiles(container, files);
  const { State: state } = await container.inspect();
  if (role !== "database") return state.Running ? undefined : container.start();
  await container.restart({ t: STOP_WITHIN_SECONDS });
  // What does not serve by then is for the backup to say.
  const until = Date.now() + SERVES_WITHIN_MS;
  while (!(await answers(container)) && Date.now() < until) await sleep(500);
}

async function answers(container: Docker.Container): Promise<boolean> {
  const ask = ["-XAtq", "-h", "127.0.0.1", "-U", DATABASE_USER, "-d", "postgres", "-c", "select 1"];
  const asked = withDeadline(psqlIfRunning(container, ask), ANSWER_WITHIN_MS);
  return (await asked.catch(() => undefined))?.code === 0;
}
