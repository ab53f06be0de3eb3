// A step of `pulumi up`: waits until the API answers GET /health where it is published.
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { collectFromContainer } from "../scripts/run-in-container.ts";
import { engineClient, isLocal } from "./engine.ts";
import { httpStatus } from "./http-status.ts";
import { lastLines, runStep, StepFailure } from "./step-main.ts";

interface Input {
  engine: string;
  container: string;
  /** Not read: a network that was made again, where the same container must find the database anew, makes the step run again. */
  network: string;
  address: string;
  port: number;
  internalPort: number;
  /** What must not be shown when its log is. */
  secrets: string[];
}

/** With some Podmans no name leads anywhere for up to 100 seconds after a container joined a network (docs/podman.md). */
const DEADLINE_SECONDS = 120;
const RESTARTS_THAT_SAY_ENOUGH = 3;

await runStep<Input>(DEADLINE_SECONDS, async (input, until) => {
  const container = engineClient(input.engine).getContainer(input.container);
  for (;;) {
    const problem = await healthProblem(container, input);
    if (problem === undefined) return "The API answers.";
    const { State: state, RestartCount: restarts } = await container.inspect();
    const down = !state.Running && !state.Restarting;
    if (down || restarts >= RESTARTS_THAT_SAY_ENOUGH || Date.now() > until) {
      const how =
        down || restarts
          ? "does not stay up"
          : `is not healthy after ${DEADLINE_SECONDS} seconds (${problem})`;
      throw new StepFailure(
        `The API ${how}. Its log ends with:\n${await lastLines(container, 20, input.secrets)}`,
        "pulumi up --refresh",
      );
    }
    await sleep(250);
  }
});

/** Asks where callers will ask; an address that only the engine's own machine can reach is asked from the inside. */
async function healthProblem(container: Docker.Container, input: Input): Promise<string | undefined> {
  const everywhere = input.address === "0.0.0.0";
  if (isLocal(input.engine)) return fetchHealth(everywhere ? "127.0.0.1" : input.address, input.port);
  if (input.address.startsWith("127.")) return insideHealth(container, input.internalPort);
  return fetchHealth(everywhere ? new URL(input.engine).hostname : input.address, input.port);
}

async function fetchHealth(host: string, port: number): Promise<string | undefined> {
  const url = `http://${host}:${port}/health`;
  try {
    const status = await httpStatus(url);
    return status === 200 ? undefined : `${url} answers ${status}`;
  } catch {
    return `${url} does not answer`;
  }
}

async function insideHealth(container: Docker.Container, port: number): Promise<string | undefined> {
  const url = `http://127.0.0.1:${port}/health`;
  const ask = `fetch("${url}").then(a => process.exit(a.ok ? 0 : 1), () => process.exit(1))`;
  try {
    const { code } = await collectFromContainer(container, ["node", "-e", ask]);
    return code === 0 ? undefined : `${url} does not answer well inside the container`;
  } catch {
    return "the container is not running";
  }
}
