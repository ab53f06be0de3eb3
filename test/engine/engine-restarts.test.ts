// The engine ends and comes back, as when the machine is updated, restarted, or loses its power.
import { afterAll, beforeAll, expect, it } from "vitest";
import { startDockerd, type TestDockerd } from "../support/servers/dockerd.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

let engine: TestDockerd;
let stack: TestStack;

beforeAll(async () => {
  engine = await startDockerd();
  stack = await createStack({}, { DOCKER_HOST: engine.host });
  const up = stack.up();
  // An up refuses a port that somebody has before its API is there.
  await Promise.race([up, until("the API's container", backend, id => id !== null, { withinMs: 120_000 })]);
  await engine.publish(Number(new URL(stack.url).port));
  await up;
  await stack.sql("CREATE TABLE kept (what text)");
});
afterAll(async () => {
  await stack?.remove();
  await engine?.stop();
});

const backend = () => stack.containerId("backend").catch(() => null);
const health = async () => (await fetch(`${stack.url}/health`).catch(() => null))?.status;
const startedAt = async (service: string) =>
  (await engine.docker.getContainer(`${stack.prefix}-${service}`).inspect()).State.StartedAt;

it.each([
  ["is shut down and started, as by an update", () => engine.shutDown()],
  ["loses its power together with every process of it", () => engine.powerOff()],
])(
  "when the engine %s, everything comes back by itself, in order, and an up changes nothing",
  async (what, end) => {
    await stack.sql(`INSERT INTO kept VALUES ('${what}')`);
    await end();
    expect(await health()).toBeUndefined();
    await engine.start();
    await until("the API healthy", health, status => status === 200, { withinMs: 90_000 });
    const [database, api] = await Promise.all([startedAt("db"), startedAt("backend")]);
    expect(await stack.sql(`SELECT count(*) FROM kept WHERE what = '${what}'`)).toBe("1");
    expect((await stack.budgie(["backup"])).code).toBe(0);
    const status = await stack.budgie(["status"]);
    expect(status.stdout).not.toContain("FAIL");
    await stack.requireNoChange();
    await stack.up();
    expect(await startedAt("db")).toBe(database);
    expect(await startedAt("backend")).toBe(api);
  },
);
