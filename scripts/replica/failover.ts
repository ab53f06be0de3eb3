import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { backendService, stopBackends } from "../../engine/backend-service.ts";
import { engineClient } from "../../engine/client.ts";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import { engineTraits } from "../../engine/traits.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { END_OF_WAL } from "../../shared/end-of-wal.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import {
  containerName,
  DATABASE_USER,
  networkName,
  type Role,
  replicaContainerName,
} from "../../shared/names.ts";
import { askPulumi, isLocked, onStack, runTool, settingsIn, writeSettings } from "../stack/project-tools.ts";
import { readStackSettings } from "../stack/stack-settings.ts";
import { stop, stopForGood } from "../stack/stop-for-good.ts";
import { requireYesToPlan } from "../terminal/ask.ts";
import { type Candidate, candidates, type OldDatabase, oldDatabase } from "./failover-plan.ts";

export interface FailoverOptions {
  /** The replica's name; the one that has most when not said. */
  to?: string;
  /** Goes on although the old database serves: it is stopped first. */
  whileItServes?: boolean;
  /** The operator knows that the old machine is off, which nobody can see from here. */
  oldIsOff?: boolean;
  yes?: boolean;
  configFile?: string;
}

const BESIDE_DATABASE = ["backend", "backup-agent"] as const;
const RECEIVED_WITHIN_MS = 60_000;
const PROMOTED_WITHIN_MS = 120_000;
/** Of a stack that has no replicas any more. */
const REPLICA_SETTINGS = [
  "replicaHosts",
  "replicationAddress",
  "replicaPort",
  "replicaBackupAddress",
  "replicaSynchronous",
];

const say = (line: string) => process.stderr.write(`${line}\n`);

interface Plan {
  stack: string;
  prefix: string;
  old: OldDatabase;
  chosen: Candidate;
  replicas: readonly Candidate[];
}

/**
 * Makes a replica the database, and brings the stack up on its machine.
 *
 * INVARIANT: nothing is promoted while the old database may serve, unless the operator has said that its machine is off. And what an
 * earlier failover has promoted is taken before every other replica: two databases would part. Whenever it is killed, the same command
 * goes on, and once the settings are written `npm run up` does.
 */
export async function failover(wanted: string | undefined, options: FailoverOptions): Promise<number> {
  const stack = wanted ?? "dev";
  const settings = await readStackSettings(stack, options.configFile);
  const hosts = (settings.get("replicaHosts") ?? "").split(/\s+/).filter(Boolean);
  if (hosts.length === 0)
    throw new Stop(
      EXIT.usage,
      `The stack ${stack} has no replica (budgie:replicaHosts). Nothing was changed.`,
      "Where a failover was cut off after it had written the settings, this finishes it: npm run up",
    );
  const prefix = settings.get("namePrefix") ?? "budgie";
  const [old, replicas] = await Promise.all([
    oldDatabase(settings.get("engineHost") || undefined, prefix),
    candidates(hosts, prefix),
  ]);
  const chosen = choose(replicas, options.to);
  await requireSwarmFor(settings, chosen);
  const plan = { stack, prefix, old, chosen, replicas };
  for (const line of shownPlan(plan)) say(line);
  requireOldAside(plan, options);
  await requireYesToPlan(options);
  await fence(plan);
  await promote(plan);
  await forgetOldMachines(plan, options);
  await pointStackThere(plan, settings, options);
  return bringUp(plan, options);
}

function choose(replicas: readonly Candidate[], to: string | undefined): Candidate {
  const [first] = replicas;
  const chosen = to === undefined ? first : replicas.find(({ name }) => name === to);
  const names = replicas.map(({ name }) => name).join(", ");
  if (chosen === undefined)
    throw new Stop(
      EXIT.usage,
      `There is no replica ${to}; there is ${names}. Nothing was changed.`,
      "Check --to.",
    );
  if (chosen.problem !== null)
    throw new Stop(
      EXIT.engineOrContainerMissing,
      `The replica ${chosen.name} cannot become the database: ${chosen.problem}. Nothing was changed.`,
      "Bring its machine back. Without any replica, restore a backup on another machine: docs/guide.md, Moving to another server",
    );
  const promoted = replicas.find(({ state }) => state === "promoted");
  if (promoted && promoted !== chosen)
    throw new Stop(
      EXIT.notConfirmed,
      `The replica ${promoted.name} was made the database already, by a failover that was cut off. Nothing was changed.`,
      `Go on with that one: npx budgie failover --to ${promoted.name}`,
    );
  return chosen;
}

/** Before anything is stopped: the stack would come up as far as its API, and not with it. */
async function requireSwarmFor(settings: ReadonlyMap<string, string>, chosen: Candidate): Promise<void> {
  const backends = Number(settings.get("backends") ?? 1);
  if (backends <= 1) return;
  const { swarm } = await engineTraits(chosen.engine);
  if (swarm.is === "manager" && chosen.engine.kind === "docker") return;
  throw new Stop(
    EXIT.usage,
    `The stack has ${backends} backends (budgie:backends), and the engine of ${chosen.name} manages no swarm for them. Nothing was changed.`,
    `Make it one: docker --host ${chosen.engine.host} swarm init. Or come up with one backend: npm run pulumi -- config set budgie:backends 1`,
  );
}

function shownPlan({ stack, prefix, old, chosen, replicas }: Plan): string[] {
  const upTo = chosen.upTo === null ? "" : ` Its last change was committed at ${chosen.upTo}.`;
  const others = replicas.filter(replica => replica !== chosen).map(({ name }) => name);
  return [
    `Failover of stack ${stack}:`,
    `  the old database: ${containerName(prefix, "database")} at ${old.engine.host}, ${SHOWN[old.state]}`,
    `  the new one: the replica ${chosen.name} at ${chosen.engine.host}.${upTo} What was committed later and did not reach it is lost.`,
    "  1. The old database and its API are stopped there, and not started again by the engine.",
    "  2. The replica becomes the database.",
    "  3. The stack forgets the old machine, and comes up on the new one, with that data: database, agent and API.",
    ...(others.length > 0
      ? [`  The other replicas stay as they are and follow nobody: ${others.join(", ")}.`]
      : []),
  ];
}

const SHOWN = {
  serves: "which is at work",
  stopped: "which does not run",
  unknown: "whose engine does not answer: it may be at work",
} as const;

/** Two databases that both take writes cannot be brought together again. */
function requireOldAside({ old, chosen }: Plan, { whileItServes, oldIsOff }: FailoverOptions): void {
  if (old.state === "serves" && !whileItServes)
    throw new Stop(
      EXIT.notConfirmed,
      "The old database is at work. Nothing was changed.",
      "To leave it all the same: npx budgie failover --while-it-serves. It is stopped once the replica has all that it has",
    );
  if (old.state === "serves" && !chosen.receives)
    throw new Stop(
      EXIT.notConfirmed,
      `The old database is at work, and ${chosen.name} does not receive from it, so rows would be lost. Nothing was changed.`,
      "See what keeps it: npx budgie status. To lose what it has not got, stop the old database first: npx budgie stop db",
    );
  if (old.state === "unknown" && chosen.receives)
    throw new Stop(
      EXIT.notConfirmed,
      `The old database's engine does not answer, but the database itself still sends to ${chosen.name}. Nothing was changed.`,
      "Stop the database on its machine, or switch the machine off. Then run the same command again.",
    );
  if (old.state === "unknown" && !oldIsOff)
    throw new Stop(
      EXIT.notConfirmed,
      `Nobody here can see whether the old database still serves: its engine at ${old.engine.host} does not answer. Nothing was changed.`,
      "Make sure that its machine is off, and stays off. Then say so: npx budgie failover --old-is-off",
    );
}

/**
 * The API first. Then, where the database is at work, the replica gets all that it has written; and a server that is stopped cleanly
 * sends its last words before it ends.
 */
async function fence(plan: Plan): Promise<void> {
  const { prefix, old } = plan;
  if (old.state === "unknown") {
    say(
      "[!] The old machine is not reached, so nothing is stopped there. It must not be started again as it is",
    );
    return;
  }
  const client = engineClient(old.engine.host);
  const containerOf = (role: Role) => client.getContainer(containerName(prefix, role));
  if (old.state === "serves") {
    await stopService(plan);
    for (const role of BESIDE_DATABASE) await unlessMissing(stop(containerOf(role)));
    await requireReceived(plan, containerOf("database"));
  }
  // A database that was stopped before may have backends that wait for it.
  await stopService(plan);
  for (const role of [...BESIDE_DATABASE, "database"] as const) {
    const container = containerOf(role);
    if ((await unlessMissing(container.inspect())) === undefined) continue;
    await stopForGood(container);
    say(`[✓] ${containerName(prefix, role)} is stopped on the old machine, and stays so`);
  }
}

/** Several backends. A swarm starts none of those that are not wanted, after a restart of its engine either. */
async function stopService({ prefix, old }: Plan): Promise<void> {
  const service = await backendService(engineClient(old.engine.host), prefix);
  if (!service || service.wanted === 0) return;
  await stopBackends(service);
  say(`[✓] The ${service.declared} backends are stopped on the old machine, and stay so`);
}

/** Throws a Stop where the replica does not get what the database has written by now. Then the database serves on. */
async function requireReceived({ prefix, chosen }: Plan, database: Docker.Container): Promise<void> {
  const replica = engineClient(chosen.engine.host).getContainer(replicaContainerName(prefix));
  const asked = await answerOf(database, `SELECT ${END_OF_WAL}`);
  const until = Date.now() + RECEIVED_WITHIN_MS;
  for (;;) {
    const has = asked && (await answerOf(replica, `SELECT pg_last_wal_receive_lsn() >= '${asked}'`));
    if (has === "t") return;
    if (Date.now() > until) break;
    await sleep(200);
  }
  throw new Stop(
    EXIT.failed,
    `The replica ${chosen.name} did not get within ${RECEIVED_WITHIN_MS / 1000} seconds what the old database has written. The database serves on; its API and its agent are stopped.`,
    "Start them again: npx budgie start. What keeps the replica: npx budgie status",
  );
}

/** Null where it could not be asked. */
async function answerOf(container: Docker.Container, sql: string): Promise<string | null> {
  const answer = await psqlIfRunning(container, ["-XAtq", "-U", DATABASE_USER, "-d", "postgres", "-c", sql]);
  return answer?.code === 0 ? answer.stdout.trim() : null;
}

/** Ends with the server stopped cleanly, so that the stack's own container can go on with its files. */
async function promote({ prefix, chosen }: Plan): Promise<void> {
  const container = engineClient(chosen.engine.host).getContainer(replicaContainerName(prefix));
  const psql = (sql: string) =>
    psqlIfRunning(container, ["-XAtq", "-U", DATABASE_USER, "-d", "postgres", "-c", sql]);
  if (chosen.state === "follows") {
    const asked = await psql("SELECT pg_promote(false)");
    const until = Date.now() + PROMOTED_WITHIN_MS;
    while ((await psql("SELECT pg_is_in_recovery()"))?.stdout.trim() !== "f") {
      if (Date.now() > until)
        throw new Stop(
          EXIT.failed,
          `The replica ${chosen.name} did not become a database within ${PROMOTED_WITHIN_MS / 1000} seconds. ${asked?.stderr.trim() ?? ""}`,
          "It may still be reading what it has received. Run the same command again.",
        );
      await sleep(200);
    }
  }
  // Where the machine has restarted meanwhile, it starts on no database, and the engine tries again and again.
  await stopForGood(container);
  say(`[✓] ${chosen.name} is the database now`);
}

/** Pulumi could remove nothing there any more. The secrets and what is known of the backups stay in the state. */
async function forgetOldMachines({ stack, replicas }: Plan, options: FailoverOptions): Promise<void> {
  if (await isLocked(stack)) {
    say("[i] An update of this stack was cut off. Its state is put right first (npm run recover)");
    await runTool("recover", onStack(stack, options));
  }
  const urn = (type: string, name: string) => `urn:pulumi:${stack}::budgie::${type}::${name}`;
  const providers = replicas.map(({ name }) =>
    urn("budgie:stack:Replica$pulumi:providers:docker", `replica-${name}-engine`),
  );
  const memory = urn("pulumi:index:Stash", "container-engine");
  for (const gone of [...providers, urn("pulumi:providers:docker", "engine"), memory]) {
    const args = ["state", "delete", gone, "--target-dependents", "--yes", "--stack", stack];
    const { code, stdout, stderr } = await askPulumi(args);
    if (code === 0 || /no such resource|does not exist|could not find/i.test(`${stdout}${stderr}`)) continue;
    throw new Stop(
      EXIT.failed,
      `The replica is the database now, but the stack could not forget the old machine. Pulumi says:\n${`${stdout}\n${stderr}`.trim().split("\n").slice(-8).join("\n")}`,
      "Run the same command again: it goes on where it was.",
    );
  }
}

async function pointStackThere(
  { stack, prefix, chosen }: Plan,
  settings: ReadonlyMap<string, string>,
  options: FailoverOptions,
): Promise<void> {
  const configured = settingsIn(options);
  await writeSettings([{ name: "engineHost", value: chosen.engine.host, secret: false }], {
    stack,
    configured,
  });
  for (const name of REPLICA_SETTINGS.filter(name => settings.has(name)))
    await askPulumi(["config", "rm", `budgie:${name}`, "--stack", stack, ...configured]);
  const client = engineClient(chosen.engine.host);
  await unlessMissing(client.getContainer(replicaContainerName(prefix)).remove({ force: true, v: false }));
  await unlessMissing(client.getNetwork(networkName(prefix)).remove());
}

async function bringUp({ stack, chosen, old }: Plan, options: FailoverOptions): Promise<number> {
  say(`[i] Bringing the stack up at ${chosen.engine.host}...`);
  const code = await runTool("pulumi", ["up", "--yes", "--skip-preview", ...onStack(stack, options)]);
  if (code !== EXIT.done)
    throw new Stop(
      EXIT.failed,
      "The replica is the database now, with its data, and the stack is not yet whole, as Pulumi says above.",
      "Put that right, then: npm run up",
    );
  say(
    `[✓] The stack ${stack} runs at ${chosen.engine.host}. For every other command: export DOCKER_HOST=${chosen.engine.host}`,
  );
  say(
    `    The old machine must not serve again. To make it a replica: npx budgie --stack ${stack} rejoin --host ${old.engine.host} --address ADDRESS_OF_THE_NEW_ONE`,
  );
  return EXIT.done;
}
