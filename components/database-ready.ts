// A step of `pulumi up`: waits until the database truly answers, refuses another environment's data, makes the role's password
// the configured one, and takes back what keeps the role out.

import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { engineClient } from "../engine/client.ts";
import { findEngine } from "../engine/find-engine.ts";
import { psqlIfRunning } from "../engine/psql-in-container.ts";
import { type Collected, collectIfRunning } from "../engine/run-in-container.ts";
import { unlessMissing } from "../engine/unless-missing.ts";
import { LABEL } from "../shared/labels.ts";
import { containerName } from "../shared/names.ts";
import { saysCrowded } from "../shared/own-connection.ts";
import { ownLogin } from "../shared/own-login.ts";
import {
  allowReplicas,
  COMMIT_ALONE,
  type ReplicaAccess,
  TLS_FILES,
  TLS_FOLDER,
  withdrawReplicas,
} from "../shared/replica-access.ts";
import { allowReplication, withdrawReplication } from "../shared/replication-access.ts";
import { wayFromDamage, whyItDoesNotStart, withoutInitdbHint } from "../shared/server-log.ts";
import { type Login, logIn } from "./steps/database-login.ts";
import { lastLines, runStep, StepFailure } from "./steps/main.ts";
import { permitLogin } from "./steps/permit-login.ts";
import { describeBarriers, mayNotLogIn, readBarriers } from "./steps/role-barriers.ts";

interface Input extends Login {
  engine: string;
  container: string;
  volume: string;
  pointInTime: boolean;
  replicas?: ReplicaAccess & { credentials: Record<keyof typeof TLS_FILES, string> };
}

/** A server that replays a long log after a crash is well; it only takes its time. */
const DEADLINE_SECONDS = 300;
const RESTARTS_THAT_SAY_ENOUGH = 3;

await runStep<Input>(DEADLINE_SECONDS, async (input, until) => {
  const container = engineClient(input.engine).getContainer(input.container);
  await serverAnswers(container, input, until);
  await volumeHoldsDatabase(container, input);
  const barriers = await readBarriers(container, input);
  await setPassword(container, input);
  await passwordOpens(container, input);
  await setReplicationAccess(container, input);
  await setReplicaAccess(container, input);
  const lifted = barriers === null ? [] : describeBarriers(input.user, barriers);
  return [
    `${input.database} answers over TCP, and ${input.user} can log in.`,
    ...lifted.map(barrier => `${barrier} That is taken back.`),
  ].join(" ");
});

async function serverAnswers(container: Docker.Container, input: Input, until: number): Promise<void> {
  for (let permitted = false; ; ) {
    await refuseIfServerGaveUp(container, input);
    const answer = await query(container, input, "postgres", "select 1");
    if (answer?.code === 0) return;
    if (answer && mayNotLogIn(answer.stderr) && !permitted) {
      permitted = true;
      await permitLogin(engineClient(input.engine), container, input.user);
    }
    if (answer?.stderr.includes(`role "${input.user}" does not exist`)) {
      throw new StepFailure(
        `The volume ${input.volume} was not made for Budgie: it has no role ${input.user}. Nothing in it was changed.`,
        "npm run pulumi -- config set budgie:namePrefix ANOTHER_NAME",
      );
    }
    if (Date.now() > until) {
      throw new StepFailure(
        `PostgreSQL did not answer within ${DEADLINE_SECONDS} seconds.${said(answer)} Its log ends with:\n${await lastLines(container, 15)}`,
        "npm run pulumi -- up",
      );
    }
    await sleep(250);
  }
}

async function refuseIfServerGaveUp(container: Docker.Container, input: Input): Promise<void> {
  const { volume } = input;
  const { State: state, RestartCount: restarts, Name: name, Config: made } = await container.inspect();
  const down = !state.Running && !state.Restarting && state.Status !== "created";
  if (!down && restarts < RESTARTS_THAT_SAY_ENOUGH) return;
  const log = withoutInitdbHint(await lastLines(container, 15));
  const why = whyItDoesNotStart(log, volume);
  const ends = `PostgreSQL does not stay up in ${name.slice(1)}. Its log ends with:\n${log}`;
  if (!why?.damaged)
    throw new StepFailure(why ? `${why.what}\n${ends}` : ends, "npm run pulumi -- up --refresh");
  throw new StepFailure(
    `${why.what} The way on keeps them, begins with an empty database, and puts the last backup into it.\n${ends}`,
    await wayOn(name.slice(1), made, input),
  );
}

/** The command needs the agent. At a first `up` there is none yet. */
async function wayOn(
  container: string,
  made: Docker.ContainerInspectInfo["Config"],
  { engine, volume }: Input,
): Promise<string> {
  const { [LABEL.stack]: stack = "dev", [LABEL.prefix]: prefix = "" } = made.Labels;
  const agent = engineClient(engine).getContainer(containerName(prefix, "backup-agent"));
  if (await unlessMissing(agent.inspect()))
    return `npx budgie --stack ${prefix} recover-volume     # says first what it will do, and asks\nnpm run pulumi -- up --stack ${stack}`;
  const { kind } = await findEngine(engine);
  return wayFromDamage({ engine: kind, image: made.Image, stack, container }, volume);
}

/** Refuses the volume of another environment, which may look the same until it is overwritten. */
async function volumeHoldsDatabase(container: Docker.Container, input: Input): Promise<void> {
  const answer = await query(
    container,
    input,
    "postgres",
    "select datallowconn, datname from pg_database where datname not in ('postgres', 'template0', 'template1') order by 2",
  );
  if (answer?.code !== 0)
    throw new StepFailure(`The databases could not be listed.${said(answer)}`, "npm run pulumi -- up");
  const lines = answer.stdout.split("\n").filter(Boolean);
  if (lines.includes(`t|${input.database}`)) return;
  const { Config: made } = await container.inspect();
  const psql = `npx budgie --stack ${made.Labels[LABEL.prefix]} psql -- -d postgres -c`;
  if (lines.includes(`f|${input.database}`)) {
    throw new StepFailure(
      `Somebody closed the database ${input.database} to every session (ALLOW_CONNECTIONS false).`,
      `${psql} 'ALTER DATABASE ${input.database} ALLOW_CONNECTIONS true'\nnpm run pulumi -- up`,
    );
  }
  const names = lines.filter(line => line.startsWith("t|")).map(line => line.slice(2));
  const [other] = names;
  const create = `${psql} 'CREATE DATABASE ${input.database}'`;
  throw new StepFailure(
    `The volume ${input.volume} does not hold ${input.database}, this stack's database. It holds ${names.join(", ") || "none"}. ` +
      "It is another environment's, or its first start was cut off. Nothing in it was changed.",
    [
      ...(other
        ? [
            `npm run pulumi -- config set budgie:databaseName ${other}     # if this stack is the one it belongs to`,
          ]
        : []),
      "npm run pulumi -- config set budgie:namePrefix ANOTHER_NAME     # if it is not yours: gives this stack a volume of its own",
      `${create}     # if this stack's data was lost here; then npm run pulumi -- up, which says how to restore it`,
    ].join("\n"),
  );
}

/**
 * Over the container's own socket, which the image trusts. Whatever password the role had, it has this one now. The password
 * never expires, and no limit keeps the role out. It is set even where the role or the database is read-only by its settings.
 */
async function setPassword(container: Docker.Container, input: Input): Promise<void> {
  const answer = await psqlIfRunning(
    container,
    ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", input.user, "-d", input.database],
    `${COMMIT_ALONE}\n${ownLogin(input.user, input.password)}\\q\n`,
  );
  if (answer?.code === 0) return;
  const [{ kind }, { Name: name }] = await Promise.all([findEngine(input.engine), container.inspect()]);
  throw new StepFailure(
    `The password of ${input.user} could not be set over the container's socket.${said(answer)} ` +
      "A pg_hba.conf without `local all all trust` is the usual reason.",
    [
      `${kind} exec ${name.slice(1)} sed -i '1i local all all trust' /var/lib/postgresql/data/pg_hba.conf     # if that line is missing`,
      `${kind} kill -s HUP ${name.slice(1)}     # the server reads it anew`,
      "npm run pulumi -- up",
    ].join("\n"),
  );
}

async function passwordOpens(container: Docker.Container, input: Input): Promise<void> {
  const { ok, answer } = await logIn(container, input);
  if (ok) return;
  if (!answer)
    throw new StepFailure("The database's container has no address on its network.", "npm run pulumi -- up");
  throw new StepFailure(
    `The server does not take the password that was just set for ${input.user}.${said(answer)}`,
    saysCrowded(answer.stderr)
      ? "npx budgie restart db     # ends every connection\nnpm run pulumi -- up"
      : 'npx budgie psql -- -c "TABLE pg_hba_file_rules"     # which rule keeps it out\nnpm run pulumi -- up',
  );
}

/** Over the socket as well. The server reads its rules anew; it is not restarted. */
async function setReplicationAccess(container: Docker.Container, input: Input): Promise<void> {
  const answer = await psqlIfRunning(
    container,
    ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", input.user, "-d", input.database],
    input.pointInTime ? allowReplication(input.user) : withdrawReplication(),
  );
  if (answer?.code === 0) return;
  throw new StepFailure(
    `The server's rules for point in time (budgie:pointInTime is ${input.pointInTime}) could not be set.${said(answer)}`,
    "npm run pulumi -- up",
  );
}

/** As well. Where there are none, only what an earlier `up` has left is taken back. */
async function setReplicaAccess(container: Docker.Container, input: Input): Promise<void> {
  const { replicas, user, database, pointInTime } = input;
  if (replicas) await writeTlsFiles(container, replicas.credentials);
  const answer = await psqlIfRunning(
    container,
    ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database],
    // What is taken back may be what point in time needs, so that is set again after it.
    replicas
      ? allowReplicas(user, pointInTime, replicas)
      : `${withdrawReplicas()}${pointInTime ? allowReplication(user) : ""}`,
  );
  if (answer?.code === 0) return;
  throw new StepFailure(
    `The server's rules for its replicas (budgie:replicaHosts) could not be set.${said(answer)}`,
    "npm run pulumi -- up",
  );
}

/** In the server's own folder, which is its user's alone: the files of other places are root's, and it takes no such key. */
async function writeTlsFiles(
  container: Docker.Container,
  credentials: Record<keyof typeof TLS_FILES, string>,
): Promise<void> {
  const script = [
    "set -e",
    "umask 077",
    `folder="\${PGDATA:-/var/lib/postgresql/data}/${TLS_FOLDER}"`,
    'mkdir -p "$folder"',
    'cat > "$folder/$0.new"',
    'sync "$folder/$0.new" 2> /dev/null || sync',
    'mv "$folder/$0.new" "$folder/$0"',
  ].join("\n");
  for (const [kind, name] of Object.entries(TLS_FILES)) {
    const content = credentials[kind as keyof typeof TLS_FILES];
    const answer = await collectIfRunning(container, ["gosu", "postgres", "sh", "-c", script, name], content);
    if (answer?.code !== 0)
      throw new StepFailure(
        `The database's certificate for its replicas could not be written.${said(answer)}`,
        "npm run pulumi -- up",
      );
  }
}

/** Over TCP on the loopback address, which the image trusts: no password is needed. */
function query(container: Docker.Container, input: Input, database: string, sql: string) {
  return psqlIfRunning(container, ["-XAtq", "-h", "127.0.0.1", "-U", input.user, "-d", database, "-c", sql]);
}

function said(answer: Collected | undefined): string {
  const words = answer?.stderr.replace(/^Password: */, "").trim();
  return words ? ` It says: ${words}.` : "";
}
