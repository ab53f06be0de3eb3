import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { followWayOut } from "../support/stack/follow-way-out.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;
/** What Budgie's compose file calls the project of its folder. */
const COMPOSE = { "com.docker.compose.project": "budgie" };
const WAY_OUT = "Remove it; that keeps every volume";

beforeAll(async () => {
  stack = await createStack();
});

afterAll(async () => {
  for (const name of ["compose-postgres-1", "borrower"]) {
    await stack.docker
      .getContainer(`${stack.prefix}-${name}`)
      .remove({ force: true })
      .catch(() => undefined);
  }
  await stack?.remove();
});

const volume = () => `${stack.prefix}-postgres-data`;

/** A server of the same image on the stack's volume, as another tool would start it. */
async function startServer(
  name: string,
  labels: Record<string, string> = {},
  binds = `${volume()}:/var/lib/postgresql/data`,
) {
  const container = await stack.docker.createContainer({
    name: `${stack.prefix}-${name}`,
    Image: "postgres:16-alpine",
    Env: ["POSTGRES_USER=budgie_user", "POSTGRES_DB=budgie_dev", "POSTGRES_PASSWORD=of-compose"],
    Labels: labels,
    HostConfig: { Binds: [binds] },
  });
  await container.start();
  return container;
}

async function rows(name: string, sql: string): Promise<void> {
  const container = stack.docker.getContainer(`${stack.prefix}-${name}`);
  for (let left = 100; ; left--) {
    const run = await container.exec({
      Cmd: ["psql", "-XAtq", "-h", "127.0.0.1", "-U", "budgie_user", "-d", "budgie_dev", "-c", sql],
      Env: ["PGPASSWORD=of-compose"],
      AttachStdout: true,
    });
    const stream = await run.start({});
    stream.resume();
    await new Promise(resolve => stream.on("end", resolve));
    if ((await run.inspect()).ExitCode === 0) return;
    if (left === 0) throw new Error(`${name} does not answer`);
    await sleep(300);
  }
}

async function isRunning(service: string): Promise<boolean> {
  return (await stack.docker.getContainer(`${stack.prefix}-${service}`).inspect()).State.Running;
}

it("what Budgie's compose file made is named, and the lines that are told remove it and keep its rows", async () => {
  await stack.docker.createVolume({ Name: volume() });
  await startServer("db", COMPOSE);
  await stack.docker.createNetwork({ Name: `${stack.prefix}-network`, Labels: COMPOSE });
  await rows("db", "CREATE TABLE kept AS SELECT 42 AS answer");

  const refused = await stack.pulumi("up", "--yes", "--skip-preview");

  expect(refused.code, refused.all).not.toBe(0);
  expect(refused.all).toContain(
    `the container ${stack.prefix}-db of the compose project budgie is at work on the volume ${volume()}`,
  );
  expect(refused.all).toContain(`the network ${stack.prefix}-network of the compose project budgie`);
  expect(refused.all).toContain("Nothing was changed.");
  expect(await isRunning("db")).toBe(true);
  await followWayOut(stack, refused.all, WAY_OUT);
  await stack.up();
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  await stack.requireNoChange();
});

itSlowly("a stopped container with a name of the stack's is not started, and is named", async () => {
  await stack.destroy();
  const container = await startServer("backend", COMPOSE, `${stack.prefix}-nowhere:/tmp/nowhere`);
  await container.stop();

  const refused = await stack.pulumi("up", "--yes", "--skip-preview");

  expect(refused.code, refused.all).not.toBe(0);
  expect(refused.all).toContain(
    `the container ${stack.prefix}-backend of the compose project budgie has a name that the stack needs`,
  );
  expect(await isRunning("backend")).toBe(false);
  await followWayOut(stack, refused.all, WAY_OUT);
  await stack.up();
  await stack.docker.getVolume(`${stack.prefix}-nowhere`).remove();
});

it("a second server on the volume is refused before anything starts, and turns the status red as long as it runs", async () => {
  const borrowed = [`${volume()}:/var/lib/postgresql/data`];
  const { Mountpoint: folder } = await stack.docker.getVolume(volume()).inspect();
  // By its folder it is the same volume.
  for (const binds of [...borrowed, `${folder}:/var/lib/postgresql/data`]) {
    await stack.budgie(["stop", "db"]);
    const borrower = await startServer("borrower", {}, binds);
    const name = `${stack.prefix}-borrower`;

    const up = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(up.code, up.all).not.toBe(0);
    expect(up.all).toContain(`the container ${name} is at work on the volume ${volume()}`);
    for (const args of [["start"], ["start", "db"], ["restart", "db"]]) {
      const { code, all } = await stack.budgie(args);
      expect(code, all).toBe(EXIT.failed);
      expect(all).toContain(`docker stop -t 90 ${name}`);
    }
    expect(await isRunning("db")).toBe(false);
    const status = await stack.budgie(["status"]);
    expect(status.code).toBe(EXIT.notFine);
    expect(status.all).toContain(`Another container is at work on the volume ${volume()}: ${name}`);

    await followWayOut(stack, up.all, WAY_OUT);
    await borrower.remove();
    expect((await stack.budgie(["start"])).code).toBe(EXIT.done);
    expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  }

  const other = await startServer("borrower");
  const { code, all } = await stack.budgie(["status", "--json"]);
  await other.remove({ force: true });
  expect(code, all).toBe(EXIT.notFine);
  expect(JSON.parse(all).problems).toContainEqual(expect.stringContaining(`${stack.prefix}-borrower`));
});
