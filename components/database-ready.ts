// A step of `pulumi up`: waits until the database truly answers, refuses another environment's data, and makes the role's
// password the configured one.
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { type Answer, type Login, logIn, runIn } from "./database-login.ts";
import { engineClient } from "./engine.ts";
import { allowReplication, withdrawReplication } from "./replication-access.ts";
import { scramVerifier } from "./scram.ts";
import { lastLines, runStep, StepFailure } from "./step-main.ts";

interface Input extends Login {
  engine: string;
  container: string;
  volume: string;
  pointInTime: boolean;
}

/** A server that replays a long log after a crash is well; it only takes its time. */
const DEADLINE_SECONDS = 300;
const RESTARTS_THAT_SAY_ENOUGH = 3;

await runStep<Input>(DEADLINE_SECONDS, async (input, until) => {
  const container = engineClient(input.engine).getContainer(input.container);
  await serverAnswers(container, input, until);
  await volumeHoldsDatabase(container, input);
  await setPassword(container, input);
  await passwordOpens(container, input);
  await setReplicationAccess(container, input);
  return `${input.database} answers over TCP, and ${input.user} can log in.`;
});

async function serverAnswers(container: Docker.Container, input: Input, until: number): Promise<void> {
  for (;;) {
    await refuseIfServerGaveUp(container);
    const answer = await query(container, input, "postgres", "select 1");
    if (answer?.code === 0) return;
    if (answer?.stderr.includes(`role "${input.user}" does not exist`)) {
      throw new StepFailure(
        `The volume ${input.volume} was not made for Budgie: it has no role ${input.user}. Nothing in it was changed.`,
        "pulumi config set budgie:namePrefix ANOTHER_NAME",
      );
    }
    if (Date.now() > until) {
      throw new StepFailure(
        `PostgreSQL did not answer within ${DEADLINE_SECONDS} seconds.${said(answer)} Its log ends with:\n${await lastLines(container, 15)}`,
        "pulumi up",
      );
    }
    await sleep(250);
  }
}

async function refuseIfServerGaveUp(container: Docker.Container): Promise<void> {
  const { State: state, RestartCount: restarts, Name: name } = await container.inspect();
  const down = !state.Running && !state.Restarting && state.Status !== "created";
  if (!down && restarts < RESTARTS_THAT_SAY_ENOUGH) return;
  throw new StepFailure(
    `PostgreSQL does not stay up in ${name.slice(1)}. Its log ends with:\n${await lastLines(container, 15)}`,
    "pulumi up --refresh",
  );
}

/** A volume of another environment is the accident that this refuses: it may look the same until it is overwritten. */
async function volumeHoldsDatabase(container: Docker.Container, input: Input): Promise<void> {
  const answer = await query(
    container,
    input,
    "postgres",
    "select datname from pg_database where datallowconn and datname not in ('postgres', 'template0', 'template1') order by 1",
  );
  if (answer?.code !== 0)
    throw new StepFailure(`The databases could not be listed.${said(answer)}`, "pulumi up");
  const names = answer.stdout.split("\n").filter(Boolean);
  if (names.includes(input.database)) return;
  const [other] = names;
  const { Config: made } = await container.inspect();
  const create = `npx budgie --stack ${made.Labels["budgie.prefix"]} psql -- -d postgres -c 'CREATE DATABASE ${input.database}'`;
  throw new StepFailure(
    `The volume ${input.volume} does not hold ${input.database}, this stack's database. It holds ${names.join(", ") || "none"}. ` +
      "It is another environment's, or its first start was cut off. Nothing in it was changed.",
    [
      ...(other
        ? [`pulumi config set budgie:databaseName ${other}     # if this stack is the one it belongs to`]
        : []),
      "pulumi config set budgie:namePrefix ANOTHER_NAME     # if it is not yours: gives this stack a volume of its own",
      `${create}     # if this stack's data was lost here; then pulumi up, which says how to restore it`,
    ].join("\n"),
  );
}

/** Over the container's own socket, where the image trusts: whatever password the volume had, it has this one now. */
async function setPassword(container: Docker.Container, input: Input): Promise<void> {
  const answer = await runIn(
    container,
    ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", input.user, "-d", input.database],
    `ALTER ROLE ${input.user} PASSWORD '${scramVerifier(input.password)}';\n\\q\n`,
  );
  if (answer?.code === 0) return;
  throw new StepFailure(
    `The password of ${input.user} could not be set over the container's socket.${said(answer)} ` +
      "A pg_hba.conf without `local all all trust` is the usual reason.",
    "pulumi up",
  );
}

async function passwordOpens(container: Docker.Container, input: Input): Promise<void> {
  const { ok, answer } = await logIn(container, input);
  if (ok) return;
  if (!answer) throw new StepFailure("The database's container has no address on its network.", "pulumi up");
  throw new StepFailure(
    `The server does not take the password that was just set for ${input.user}.${said(answer)}`,
    "pulumi up",
  );
}

/** Over the socket as well. The server reads its rules anew; it is not restarted. */
async function setReplicationAccess(container: Docker.Container, input: Input): Promise<void> {
  const answer = await runIn(
    container,
    ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", input.user, "-d", input.database],
    input.pointInTime ? allowReplication(input.user) : withdrawReplication(),
  );
  if (answer?.code === 0) return;
  throw new StepFailure(
    `The server's rules for point in time (budgie:pointInTime is ${input.pointInTime}) could not be set.${said(answer)}`,
    "pulumi up",
  );
}

/** Over TCP on the loopback address, which the image trusts: no password is needed. */
function query(container: Docker.Container, input: Input, database: string, sql: string) {
  return runIn(container, ["psql", "-XAtq", "-h", "127.0.0.1", "-U", input.user, "-d", database, "-c", sql]);
}

function said(answer: Answer): string {
  const words = answer?.stderr.replace(/^Password: */, "").trim();
  return words ? ` It says: ${words}.` : "";
}
