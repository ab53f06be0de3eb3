// A replica whose database goes with its whole machine, when each commit waits for the replica.
import { afterAll, beforeAll, expect } from "vitest";
import { psqlIn } from "../support/database/psql-in.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createOnTwoMachines, type TwoMachines } from "../support/stack/two-machines.ts";
import { until } from "../support/until.ts";

const WAITING = "Every commit waits for a replica, and none is there.";

let both: TwoMachines;

beforeAll(async () => {
  if (SLOW) both = await createOnTwoMachines(() => ({ settings: { replicaSynchronous: "true" } }));
});
afterAll(() => both?.remove());

itSlowly(
  "a machine that loses its power while rows are written takes no acknowledged row with it",
  async () => {
    const { machine, stack, here, failover } = both;
    const { rows, more, stop } = await both.startWriting();
    await more(300);
    await machine.unplug();
    const { all } = await until(
      "a status that says that commits wait",
      () => stack.budgie(["status"]),
      ({ all }) => all.includes(WAITING),
      { withinMs: 120_000 },
    );
    expect(all).toContain("budgie:replicaSynchronous false");
    const waiting = rows.length;
    await machine.plugIn();
    await more(300);
    await machine.cutPower();
    stop();

    const moved = await failover("--old-is-off");
    expect(moved.code, moved.all).toBe(0);
    const there = new Set(
      (await psqlIn(here, `${stack.prefix}-db`, "SELECT n FROM written")).split("\n").map(Number),
    );
    const lost = rows.filter(({ n }) => !there.has(n));
    expect(lost, `of ${rows.length} acknowledged rows, ${waiting} of them before the cable was back`).toEqual(
      [],
    );
    await psqlIn(here, `${stack.prefix}-db`, "INSERT INTO written SELECT max(n) + 1 FROM written");
  },
);
