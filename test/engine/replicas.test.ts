// Two replicas, each on a machine of its own.
import { execa } from "execa";
import { afterAll, beforeAll, expect } from "vitest";
import { DEFAULT_DATABASE_IMAGE } from "../../shared/database-image.ts";
import { replicaContainerName } from "../../shared/names.ts";
import { psqlIn } from "../support/database/psql-in.ts";
import { freePort } from "../support/servers/free-port.ts";
import { type SecondMachine, startSecondMachine } from "../support/servers/second-engine.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

/** The one that becomes the database, and the one that falls behind. */
let near: SecondMachine;
let far: SecondMachine;
let stack: TestStack;

beforeAll(async () => {
  if (!SLOW) return;
  near = await startSecondMachine([DEFAULT_DATABASE_IMAGE, "node:24-alpine"], 1);
  far = await startSecondMachine([DEFAULT_DATABASE_IMAGE], 2);
  stack = await createStack({
    // The first of them is not taken for being the first.
    replicaHosts: `${far.engine.host} ${near.engine.host}`,
    replicationAddress: near.here,
    replicationPort: String(await freePort()),
  });
  await stack.up();
});
afterAll(async () => {
  await stack?.remove();
  await near?.stop();
  await far?.stop();
});

const rows = (machine: SecondMachine) =>
  psqlIn(machine.engine.host, replicaContainerName(stack.prefix), "SELECT count(*) FROM kept").catch(
    () => "not there",
  );
const rowsBecome = (machine: SecondMachine, wanted: string) =>
  until(
    "the rows",
    () => rows(machine),
    count => count === wanted,
    { withinMs: 60_000 },
  );

/** Typed on the machine where the stack is after a failover. */
const typed = (...command: string[]) => {
  const [file, net] = near.typedThere;
  return execa(file, [net, ...command], { env: stack.invocation().env, reject: false, all: true });
};
const budgie = (command: string, ...args: string[]) =>
  typed(
    "node",
    "scripts/budgie.mjs",
    "--stack",
    stack.name,
    command,
    "--config-file",
    stack.configFile,
    ...args,
  );
const requireNoChange = async () => {
  const { args } = stack.invocation("preview", "--refresh", "--expect-no-changes", "--diff");
  const preview = await typed("pulumi", ...args);
  expect(preview.exitCode, preview.all).toBe(0);
};

itSlowly("both follow the database, the status names both, and nothing changes after that", async () => {
  await stack.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
  for (const machine of [near, far]) await rowsBecome(machine, "1000");
  const { server } = JSON.parse((await stack.budgie(["status", "--json"])).stdout);
  expect(server.replicas.map(({ state }: { state: string }) => state)).toEqual(["streaming", "streaming"]);
  await stack.requireNoChange();
});

itSlowly("the one that has most becomes the database, the other one follows it when asked to", async () => {
  await far.unplug();
  await stack.sql("INSERT INTO kept SELECT generate_series(1001, 2000)");
  await rowsBecome(near, "2000");
  await stack.docker.getContainer(`${stack.prefix}-db`).kill({ signal: "SIGKILL" });
  await far.plugIn();

  const moved = await budgie("failover", "--yes");
  expect(moved.exitCode, moved.all).toBe(0);
  expect(await psqlIn(near.engine.host, `${stack.prefix}-db`, "SELECT count(*) FROM kept")).toBe("2000");
  expect(await rows(far)).toBe("1000");
  await requireNoChange();

  const rejoined = await budgie("rejoin", "--host", far.engine.host, "--address", near.there, "--yes");
  expect(rejoined.exitCode, rejoined.all).toBe(0);
  await rowsBecome(far, "2000");
  await psqlIn(near.engine.host, `${stack.prefix}-db`, "INSERT INTO kept VALUES (0)");
  await rowsBecome(far, "2001");
  await requireNoChange();
});
