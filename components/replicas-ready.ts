// A step of `pulumi up`: waits until every replica follows the database, and only then lets commits wait for them, if they are to.

import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { engineClient } from "../engine/client.ts";
import { psqlIfRunning } from "../engine/psql-in-container.ts";
import { COMMIT_ALONE, waitForReplicas } from "../shared/replica-access.ts";
import { replicaSlot } from "../shared/replica-name.ts";
import { lastLines, runStep, StepFailure } from "./steps/main.ts";

interface Input {
  engine: string;
  container: string;
  image: string;
  user: string;
  database: string;
  replicas: Following[];
  synchronous: boolean;
}

interface Following {
  name: string;
  engine: string;
  container: string;
  image: string;
}

/** The first copy of a large database takes long. It goes on when this step has given up. */
const DEADLINE_SECONDS = 1800;
const RESTARTS_THAT_SAY_ENOUGH = 3;

await runStep<Input>(DEADLINE_SECONDS, async (input, until) => {
  const database = engineClient(input.engine).getContainer(input.container);
  for (const replica of input.replicas) requireSameImage(replica, input.image);
  for (const replica of input.replicas) await follows(database, input, replica, until);
  const names = input.replicas.map(({ name }) => name);
  if (input.synchronous) await setSynchronous(database, input, names);
  const waits = input.synchronous ? " Every commit waits for one of them." : "";
  return `Following the database: ${names.join(", ")}.${waits}`;
});

/** Files of PostgreSQL fit the build that wrote them: another one sorts text differently, and its indexes would be wrong. */
function requireSameImage({ name, engine, image }: Following, own: string): void {
  const digest = (id: string) => id.replace(/^sha256:/, "").replace(/[^0-9a-f].*$/, "");
  if (digest(image) === digest(own)) return;
  throw new StepFailure(
    `The replica ${name} runs another image (${image}) than the database (${own}), and its indexes could be wrong. Nothing of the database was changed.`,
    [
      `docker save ${own} | docker --host ${engine} load     # gives it the database's`,
      "npm run pulumi -- up --refresh",
    ].join("\n"),
  );
}

async function follows(
  database: Docker.Container,
  input: Input,
  replica: Following,
  until: number,
): Promise<void> {
  const container = engineClient(replica.engine).getContainer(replica.container);
  for (;;) {
    const answer = await psqlIfRunning(database, [
      ...["-XAtq", "-U", input.user, "-d", input.database, "-c"],
      `SELECT state FROM pg_stat_replication WHERE application_name = '${replicaSlot(replica.name)}' AND state = 'streaming'`,
    ]);
    if (answer?.code === 0 && answer.stdout.trim() !== "") return;
    await refuseIfItGaveUp(container, replica);
    if (Date.now() > until)
      throw new StepFailure(
        `The replica ${replica.name} does not follow the database yet, after ${DEADLINE_SECONDS / 60} minutes. It goes on trying. Its log ends with:\n${await lastLines(container, 15)}`,
        "npx budgie status     # says when it follows\nnpm run pulumi -- up     # waits once more",
      );
    await sleep(1_000);
  }
}

async function refuseIfItGaveUp(container: Docker.Container, { name, engine }: Following): Promise<void> {
  const { State: state, RestartCount: restarts } = await container.inspect();
  const down = !state.Running && !state.Restarting && state.Status !== "created";
  if (!down && restarts < RESTARTS_THAT_SAY_ENOUGH) return;
  throw new StepFailure(
    `The replica ${name} does not stay up at ${engine}. Its log ends with:\n${await lastLines(container, 15)}`,
    "npm run pulumi -- up --refresh",
  );
}

async function setSynchronous(
  database: Docker.Container,
  { user, database: name }: Input,
  names: readonly string[],
): Promise<void> {
  const answer = await psqlIfRunning(
    database,
    ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", name],
    `${COMMIT_ALONE}\n${waitForReplicas(names)}`,
  );
  if (answer?.code === 0) return;
  throw new StepFailure(
    `Commits could not be made to wait for the replicas (budgie:replicaSynchronous).${answer ? ` PostgreSQL says: ${answer.stderr.trim()}.` : ""}`,
    "npm run pulumi -- up",
  );
}
