// A step of `pulumi up`: waits until the API answers GET /health where it is published.
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { isLocal } from "../engine/address.ts";
import { engineClient } from "../engine/client.ts";
import { collectFromContainer } from "../engine/run-in-container.ts";
import { apiProblem } from "../shared/api-health.ts";
import { DATABASE_USER } from "../shared/names.ts";
import { backendAdvice, withoutStackTrace } from "./steps/backend-advice.ts";
import { lastLines, runStep, StepFailure } from "./steps/main.ts";
import { noteBackend } from "./steps/note-backend.ts";

interface Input {
  engine: string;
  container: string;
  /**
   * Not read. In a network that was made again the same container must find the database anew, so the step runs again.
   */
  network: string;
  address: string;
  port: number;
  internalPort: number;
  /** What must not be shown when its log is. */
  secrets: string[];
}

/** With some Podmans no name resolves for up to 100 seconds after a container joined a network (docs/podman.md). */
const DEADLINE_SECONDS = 120;
const RESTARTS_THAT_SAY_ENOUGH = 3;

await runStep<Input>(DEADLINE_SECONDS, async (input, until) => {
  const client = engineClient(input.engine);
  const container = client.getContainer(input.container);
  for (;;) {
    const problem = await healthProblem(container, input);
    if (problem === null) return `The API answers.${await noteBackend(client, container)}`;
    const { State: state, RestartCount: restarts } = await container.inspect();
    const down = !state.Running && !state.Restarting;
    if (down || restarts >= RESTARTS_THAT_SAY_ENOUGH || Date.now() > until) {
      const how =
        down || restarts
          ? "does not stay up"
          : `is not healthy after ${DEADLINE_SECONDS} seconds (${problem})`;
      throw await failure(container, how, input.secrets);
    }
    await sleep(250);
  }
});

/** A stack trace pushes out of sight what went wrong, so more of the log is read than is shown. */
async function failure(container: Docker.Container, how: string, secrets: string[]): Promise<StepFailure> {
  const log = withoutStackTrace(await lastLines(container, 60, secrets));
  const { Env: env = [] } = (await container.inspect()).Config;
  const inEnvironment = env.some(variable => variable.startsWith("DB_PASSWORD="));
  const advice = backendAdvice(log, { inEnvironment, user: DATABASE_USER });
  const shown = log.split("\n").slice(-12).join("\n");
  return new StepFailure(
    `The API ${how}.${advice ? ` ${advice.why}` : ""} Its log ends with:\n${shown}`,
    advice?.next ?? "npx budgie logs backend     # more of it\nnpm run pulumi -- up --refresh",
  );
}

/** Asks where callers will ask; an address that only the engine's own machine can reach is asked from the inside. */
async function healthProblem(container: Docker.Container, input: Input): Promise<string | null> {
  const { engine, address, port } = input;
  if (!isLocal(engine) && address.startsWith("127.")) return insideProblem(container, input.internalPort);
  const everywhere = isLocal(engine) ? "127.0.0.1" : new URL(engine).hostname;
  return apiProblem(`http://${address === "0.0.0.0" ? everywhere : address}:${port}`);
}

async function insideProblem(container: Docker.Container, port: number): Promise<string | null> {
  const url = `http://127.0.0.1:${port}/health`;
  const ask = `fetch("${url}").then(a => process.exit(a.ok ? 0 : 1), () => process.exit(1))`;
  try {
    const { code } = await collectFromContainer(container, ["node", "-e", ask]);
    return code === 0 ? null : `${url} does not answer well inside the container`;
  } catch {
    return "the container is not running";
  }
}
