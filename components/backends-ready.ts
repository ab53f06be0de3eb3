// A step of `pulumi up`: waits until as many backends as declared run, all of them of this version, and the API answers GET /health where it
// is published. A swarm replaces one after the other, and goes back by itself where the new version does not come up: then the API serves
// on as it was, and the `up` fails.

import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { isLocal } from "../engine/address.ts";
import {
  type BackendService,
  backendService,
  scaleBackends,
  type Task,
  tasksOf,
} from "../engine/backend-service.ts";
import { engineClient } from "../engine/client.ts";
import { apiProblem } from "../shared/api-health.ts";
import { DATABASE_USER } from "../shared/names.ts";
import { backendAdvice, withoutStackTrace } from "./steps/backend-advice.ts";
import { lastLines, runStep, StepFailure } from "./steps/main.ts";
import { noteImage } from "./steps/note-backend.ts";

interface Input {
  engine: string;
  namePrefix: string;
  backends: number;
  port: number;
  /** Not read: another one means that there is something to wait for. */
  version: unknown;
  /** What must not be shown when its log is. */
  secrets: string[];
  inEnvironment: boolean;
  /** At most, for the whole of it. */
  seconds: number;
}

/** How many backends may fail to start before there is no more to wait for. */
const FAILURES_THAT_SAY_ENOUGH = 3;
/** All run, and the published port leads nowhere. */
const UNROUTED_FOR_MS = 30_000;

/** For longer than any stack needs; what counts is in the input. */
const LONGEST_SECONDS = 3600;

await runStep<Input>(LONGEST_SECONDS, async input => {
  const client = engineClient(input.engine);
  const until = Date.now() + input.seconds * 1000;
  const before = new Set((await tasksFor(client, input)).map(({ ID: id }) => id));
  await startStopped(client, input);
  let allRunSince: number | undefined;
  for (;;) {
    const service = await find(client, input);
    if (service.update === "rolled back" || service.update === "stuck")
      throw await failure(client, input, "do not start. Those from before serve on");
    const all = service.running >= input.backends && service.update !== "under way";
    allRunSince = all ? (allRunSince ?? Date.now()) : undefined;
    if (all) {
      const problem = await apiProblem(addressOf(input));
      if (problem === null)
        return `${service.running} backends serve.${await noteImage(client, service.image, input.namePrefix)}`;
      if (allRunSince !== undefined && Date.now() - allRunSince > UNROUTED_FOR_MS)
        throw unrouted(input, problem);
    }
    if (await failedOften(client, input, before)) throw await failure(client, input, "do not stay up");
    if (Date.now() > until)
      throw await failure(
        client,
        input,
        `are not all there after ${input.seconds} seconds (${service.running} of ${input.backends} run)`,
      );
    await sleep(500);
  }
});

async function find(client: Docker, { namePrefix }: Input): Promise<BackendService> {
  const service = await backendService(client, namePrefix);
  if (service) return service;
  throw new StepFailure("The service of the backends is gone.", "npm run pulumi -- up --refresh");
}

/** After `npx budgie stop`, of which Pulumi knows nothing. */
async function startStopped(client: Docker, input: Input): Promise<void> {
  const service = await find(client, input);
  if (service.wanted === 0) await scaleBackends(service, input.backends);
}

async function tasksFor(client: Docker, input: Input): Promise<Task[]> {
  return tasksOf(await find(client, input));
}

async function failedOften(client: Docker, input: Input, before: ReadonlySet<string>): Promise<boolean> {
  const tasks = await tasksFor(client, input);
  const failed = tasks.filter(task => !before.has(task.ID) && hasFailed(task));
  return failed.length >= FAILURES_THAT_SAY_ENOUGH;
}

function hasFailed({ Status: { State: state } }: Task): boolean {
  return state === "failed" || state === "rejected";
}

/** The published port is the swarm's, on every address of the machine. */
function addressOf({ engine, port }: Input): string {
  return `http://${isLocal(engine) ? "127.0.0.1" : new URL(engine).hostname}:${port}`;
}

/** A swarm routes with the kernel's IPVS. Where that is missing, the engine says so in its own log alone. */
function unrouted({ port }: Input, problem: string): StepFailure {
  return new StepFailure(
    `All backends run, but the swarm does not lead port ${port} to them: ${problem}.`,
    [
      "lsmod | grep ip_vs     # on the engine's machine: the swarm routes with this module of its kernel",
      "sudo modprobe ip_vs    # where it is missing; then restart Docker",
      "npm run pulumi -- config set budgie:backends 1     # where the kernel has none",
      "npm run pulumi -- up --refresh",
    ].join("\n"),
  );
}

async function failure(client: Docker, input: Input, how: string): Promise<StepFailure> {
  const tasks = await tasksFor(client, input);
  const failed = tasks
    .filter(hasFailed)
    .sort((a, b) => Date.parse(a.CreatedAt) - Date.parse(b.CreatedAt))
    .at(-1);
  const said = failed ? await lastWords(client, failed, input.secrets) : "(no backend failed)";
  const log = withoutStackTrace(said);
  const advice = backendAdvice(log, { inEnvironment: input.inEnvironment, user: DATABASE_USER });
  const why = failed?.Status.Err ? ` The engine says: ${failed.Status.Err}.` : "";
  return new StepFailure(
    `The backends ${how}.${why}${advice ? ` ${advice.why}` : ""} The log of the last that failed ends with:\n${log.split("\n").slice(-12).join("\n")}`,
    // The state has the version that was wanted, and the service the one before: only a refresh sees it.
    `${advice?.next ?? "npx budgie logs backend     # more of it"}\nnpm run pulumi -- up --refresh`,
  );
}

async function lastWords(client: Docker, { Status: status }: Task, secrets: string[]): Promise<string> {
  const id = status.ContainerStatus?.ContainerID;
  if (!id) return "(it was not started)";
  return lastLines(client.getContainer(id), 60, secrets).catch(() => "(its container is gone)");
}
