// A replica whose database goes with its whole machine, when commits do not wait for the replica.
import { afterAll, beforeAll, expect } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { replicaContainerName } from "../../shared/names.ts";
import { psqlIn } from "../support/database/psql-in.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import {
  type Acknowledged,
  bytesOf,
  createOnTwoMachines,
  type TwoMachines,
} from "../support/stack/two-machines.ts";
import { until } from "../support/until.ts";

let both: TwoMachines;

beforeAll(async () => {
  if (SLOW) both = await createOnTwoMachines();
});
afterAll(() => both?.remove());

/** What the status shows, and how far the log was before it was asked. */
async function shownBehind({ machine, stack }: TwoMachines): Promise<{ position: number; lagBytes: number }> {
  const position = bytesOf(
    await psqlIn(machine.engine.host, `${stack.prefix}-db`, "SELECT pg_current_wal_lsn()"),
  );
  const { stdout } = await stack.budgie(["status", "--json"]);
  const [replica] = JSON.parse(stdout).server.replicas;
  return { position, lagBytes: replica.lagBytes };
}

itSlowly(
  "a machine that loses its power takes with it what the status showed as behind, and no more",
  async () => {
    const { machine, here, failover } = both;
    const { rows, more, stop } = await both.startWriting();
    await more(300);
    await machine.unplug();
    await more(300);
    const shown = await shownBehind(both);
    const inTime = rows.length;
    await machine.cutPower();
    stop();
    await machine.plugIn();

    const unknown = await failover();
    expect(unknown.code, unknown.all).toBe(9);
    expect(unknown.all).toContain("npx budgie failover --old-is-off");
    const moved = await failover("--old-is-off");
    expect(moved.code, moved.all).toBe(0);

    const there = new Set(
      (await psqlIn(here, `${both.stack.prefix}-db`, "SELECT n FROM written")).split("\n").map(Number),
    );
    const lost = rows.filter(({ n }) => !there.has(n));
    const first = lost[0] as Acknowledged;
    const told = `${lost.length} of ${rows.length} acknowledged rows are lost; status had shown ${shown.lagBytes} bytes after ${inTime} rows`;
    expect(lost.length, told).toBeGreaterThan(0);
    expect(
      rows.filter(({ n }) => n >= first.n),
      told,
    ).toEqual(lost);
    expect(first.position, told).toBeGreaterThan(shown.position - shown.lagBytes);
    console.log(told);
  },
);

itSlowly(
  "that machine follows the new database when it is back, and what only it had is kept aside",
  async () => {
    const { machine, stack, here } = both;
    await machine.switchOn();
    const database = `${stack.prefix}-db`;
    const rejoined = await both.rejoin();
    expect(rejoined.code, rejoined.all).toBe(0);
    const count = await psqlIn(here, database, "SELECT count(*) FROM written");
    await until(
      "the rows",
      () => psqlIn(machine.engine.host, replicaContainerName(stack.prefix), "SELECT count(*) FROM written"),
      there => there === count,
    );
    const left = (await engineClient(machine.engine.host).listContainers({ all: true })).map(
      ({ Names: [name] }) => name,
    );
    expect(left).toEqual([`/${replicaContainerName(stack.prefix)}`]);
    const { Volumes: volumes } = await engineClient(machine.engine.host).listVolumes();
    expect(volumes.map(({ Name: name }) => name).filter(name => name.includes("-broken-"))).toHaveLength(1);
  },
);
