import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type Docker from "dockerode";
import { LABEL, labelledAs } from "../shared/labels.ts";

/** The backends of a stack, where a Docker swarm runs them: one service, and a container for each of its tasks. */
export interface BackendService {
  /** The engine that manages the swarm. */
  client: Docker;
  id: string;
  name: string;
  labels: Record<string, string>;
  /** How many the stack has declared, and `start` goes back to. */
  declared: number;
  /** How many are asked for: none while it is stopped. */
  wanted: number;
  /** How many of today's version run, and are healthy. */
  running: number;
  /** The port of the engine's machine. */
  port: number | undefined;
  /** When it was made, or changed last: by an `up`, a start, a stop. In milliseconds since 1970. */
  changedAt: number;
  /** What became of the newest change. `rolled back`: the backends from before it serve on. */
  update: "none" | "under way" | "done" | "rolled back" | "stuck";
  /** The image of those that are wanted. */
  image: string;
}

interface Spec {
  ContainerSpec?: { Image?: string };
  ForceUpdate?: number;
}

export interface Task {
  ID: string;
  DesiredState: string;
  CreatedAt: string;
  Spec: Spec;
  Status: { State: string; Err?: string; Message?: string; ContainerStatus?: { ContainerID?: string } };
}

/** Of a task with no process, or none any more. */
const OVER: readonly string[] = ["complete", "shutdown", "failed", "rejected", "orphaned"];
const NOT_A_MANAGER = 503;
/** The engine waits for a task's requests to end, and then some. */
const GONE_WITHIN_MS = 120_000;

/** The services of backends on this engine that have all of these labels. None where it manages no swarm. */
export async function backendServices(client: Docker, labels: readonly string[]): Promise<BackendService[]> {
  const listed = await client.listServices({ filters: { label: [...labels] } }).catch(noneWithoutSwarm);
  return Promise.all(listed.map(({ ID: id }) => described(client, id)));
}

/** The service of the stack with this prefix. */
export async function backendService(
  client: Docker,
  namePrefix: string,
): Promise<BackendService | undefined> {
  const label = [labelledAs(LABEL.prefix, namePrefix), labelledAs(LABEL.role, "backend")];
  return (await backendServices(client, label))[0];
}

function noneWithoutSwarm(error: { statusCode?: number }): Docker.Service[] {
  if (error.statusCode === NOT_A_MANAGER || error.statusCode === 404) return [];
  throw error;
}

/** As it is now. */
export function lookAgain({ client, id }: BackendService): Promise<BackendService> {
  return described(client, id);
}

async function described(client: Docker, id: string): Promise<BackendService> {
  const service = await client.getService(id).inspect();
  const { Name: name, Labels: labels = {}, Mode: mode, TaskTemplate: template } = service.Spec;
  const ports = (service.Endpoint?.Ports ?? service.Spec.EndpointSpec?.Ports ?? []) as {
    PublishedPort?: number;
  }[];
  const tasks = (await tasksOf({ client, id })).filter(task => isServing(task, template));
  return {
    ...{ client, id, name, labels, running: tasks.length },
    declared: Number(labels[LABEL.backends]),
    wanted: mode.Replicated?.Replicas ?? 0,
    port: ports[0]?.PublishedPort,
    changedAt: Date.parse(service.UpdatedAt),
    update: updateOf(service.UpdateStatus?.State),
    image: template.ContainerSpec?.Image ?? "",
  };
}

/** With a healthcheck, a task counts as running once it is healthy. */
function isServing(task: Task, template: Spec): boolean {
  return (
    task.DesiredState === "running" &&
    task.Status.State === "running" &&
    (task.Spec.ForceUpdate ?? 0) === (template.ForceUpdate ?? 0) &&
    isDeepStrictEqual(task.Spec.ContainerSpec, template.ContainerSpec)
  );
}

function updateOf(state: string | undefined): BackendService["update"] {
  if (!state) return "none";
  if (state === "completed") return "done";
  if (state.endsWith("paused")) return "stuck";
  return state.startsWith("rollback") ? "rolled back" : "under way";
}

export function tasksOf({ client, id }: Pick<BackendService, "client" | "id">): Promise<Task[]> {
  return client.listTasks({ filters: { service: [id] } });
}

/**
 * The containers whose logs say how the backends are: those that run, and the newest that has ended where not all run. They are asked one by
 * one, because the engine's log of a whole service waits for ever for a backend that was killed.
 */
export async function backendContainers(
  service: BackendService,
): Promise<{ name: string; container: Docker.Container }[]> {
  const { client, id, declared } = service;
  const filters = { label: [`com.docker.swarm.service.id=${id}`] };
  const listed = await client.listContainers({ all: true, filters });
  const newest = listed.sort((a, b) => b.Created - a.Created);
  const running = newest.filter(({ State: state }) => state === "running");
  const ended = newest.filter(({ State: state }) => state !== "running").slice(0, 1);
  const shown = running.length < declared ? [...running, ...ended] : running;
  return shown
    .map(({ Id: container, Names: [name = container] }) => ({
      // `budgie-backend.1.` and the id of its task.
      name: name.replace(/^\//, "").replace(/\.[a-z0-9]{25}$/, ""),
      container: client.getContainer(container),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** Has so many run. It is not said whether they serve. */
export async function scaleBackends({ client, id }: BackendService, replicas: number): Promise<void> {
  const service = client.getService(id);
  const { Spec: spec, Version: version } = await service.inspect();
  await service.update({
    ...spec,
    version: version.Index,
    Mode: { Replicated: { Replicas: replicas } },
  });
}

/** Ends all of them, each with time to end its requests, and returns once none runs. Throws where one does not end. */
export async function stopBackends(service: BackendService): Promise<void> {
  await scaleBackends(service, 0);
  const until = Date.now() + GONE_WITHIN_MS;
  for (;;) {
    const atWork = (await tasksOf(service)).filter(({ Status: { State: state } }) => !OVER.includes(state));
    if (atWork.length === 0) return;
    if (Date.now() > until)
      throw new Error(
        `${atWork.length} backends were told to stop, and run on: docker service ps ${service.name}`,
      );
    await sleep(250);
  }
}

/** More than once each in this time, none of them getting over it. */
const LOOP_MS = 5 * 60_000;

/**
 * Whether backends end by themselves and are started again, over and over, and none gets to serve. What has ended before the service was
 * changed last was another version, or was started in another state of things.
 */
export async function backendsLoop(service: BackendService): Promise<boolean> {
  const now = await lookAgain(service);
  if (now.wanted === 0 || now.running > 0) return false;
  const failed = (await tasksOf(service)).filter(
    ({ CreatedAt: at, Status: { State: state } }) =>
      state === "failed" && Date.parse(at) >= now.changedAt && Date.now() - Date.parse(at) < LOOP_MS,
  );
  return failed.length >= 2;
}
