import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, expect, it } from "vitest";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;

afterEach(() => stack?.remove());

it("no password is shown by inspect, ps, logs, the state, or what the commands print", async () => {
  const [password, session] = ["canary-of-the-database-7f3a5d", "canary-of-the-sessions-91bc-2e7d40"];
  stack = await createStack();
  await stack.set("databasePassword", password, { secret: true });
  await stack.set("sessionSecret", session, { secret: true });
  // Its programs get the password too.
  await stack.set("pointInTime", "true");
  const seen: [string, string][] = [];
  const see = (where: string, text: string) => seen.push([where, text]);

  const commandLines = watchCommandLines();
  see("up", (await stack.up()).all);
  see("preview", (await stack.pulumi("preview", "--diff")).all);
  see("backup", (await stack.budgie(["backup"])).all);
  see("restore", (await stack.budgie(["restore", "latest", "--yes"])).all);
  const rotated = `${password}-next`;
  await stack.set("databasePassword", rotated, { secret: true });
  const database = await stack.containerId("db");
  see("up with the next password", (await stack.up()).all);
  expect(await stack.containerId("db"), "a new password must not replace the database").toBe(database);
  expect((await stack.budgie(["backup"])).code).toBe(0);
  await stack.requireNoChange();
  see("ps, all the while", await commandLines.stop());

  await stack.docker.getContainer(`${stack.prefix}-db`).stop();
  see("a failed backup", (await stack.budgie(["backup"])).all);
  await stack.budgie(["start"]);
  for (const service of ["db", "backend", "backup"] as const) {
    see(
      `inspect ${service}`,
      JSON.stringify(await stack.docker.getContainer(`${stack.prefix}-${service}`).inspect()),
    );
    see(`logs ${service}`, await stack.logs(service));
  }
  see("export", (await stack.pulumi("stack", "export")).stdout);
  for (const file of await readdir(stack.stateFolder, { recursive: true, withFileTypes: true })) {
    if (file.isFile()) see(file.name, await readFile(join(file.parentPath, file.name), "latin1"));
  }
  for (const [where, text] of seen) {
    expect(text.length, where).toBeGreaterThan(0);
    for (const canary of [password, session]) {
      expect(text.includes(canary), `${where} shows ${canary}`).toBe(false);
      expect(
        text.includes(Buffer.from(canary).toString("base64").slice(0, 20)),
        `${where} shows ${canary} in base64`,
      ).toBe(false);
    }
  }
});

it("a volume that was swapped for another one stops `up`, with the two ways out", async () => {
  stack = await createStack();
  await stack.up();
  await stack.sql("CREATE TABLE ours AS SELECT 1");
  expect((await stack.budgie(["backup"])).code).toBe(0);
  await stack.destroy();
  // This once happened to Budgie's owner: the volume has the right name, but another database's data.
  await stack.docker.getVolume(`${stack.prefix}-postgres-data`).remove();

  const refused = await stack.pulumi("up", "--yes", "--skip-preview");

  expect(refused.code, refused.all).not.toBe(0);
  expect(refused.all).toContain("npx budgie restore latest");
  expect(refused.all).toContain("npx budgie accept-database");
  expect((await stack.budgie(["restore", "latest"])).code).toBe(0);
  await stack.up();
  expect(await stack.sql("SELECT count(*) FROM ours")).toBe("1");
});

/** Collects every command line that `ps` shows, those in containers included, several times a second. */
function watchCommandLines(): { stop(): Promise<string> } {
  const seen = new Set<string>();
  let goOn = true;
  const watching = (async () => {
    while (goOn) {
      const { stdout } = await execa("ps", ["axww", "-o", "args"]);
      for (const line of stdout.split("\n")) seen.add(line);
      await delay(100);
    }
  })();
  return {
    stop: async () => {
      goOn = false;
      await watching;
      return [...seen].join("\n");
    },
  };
}
