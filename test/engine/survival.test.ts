import { afterEach, expect, it } from "vitest";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;

afterEach(() => stack?.remove());

const succeeds = async (running: Promise<{ code: number; all: string }>) => {
  const { code, all } = await running;
  expect(code, all).toBe(0);
};

/** What the data survives, in the words of the guide's table. */
const survived: [string, () => Promise<unknown>][] = [
  ["a restart", () => succeeds(stack.budgie(["restart"]))],
  [
    "a stop and a start",
    async () => {
      await succeeds(stack.budgie(["stop"]));
      await succeeds(stack.budgie(["start"]));
    },
  ],
  [
    "a database killed (-9) and started again",
    async () => {
      await stack.docker.getContainer(`${stack.prefix}-db`).kill();
      await succeeds(stack.budgie(["start"]));
    },
  ],
  [
    "its containers removed by hand",
    async () => {
      for (const service of ["db", "backup"]) {
        await stack.docker.getContainer(`${stack.prefix}-${service}`).remove({ force: true });
      }
      await succeeds(stack.pulumi("up", "--refresh", "--yes", "--skip-preview"));
    },
  ],
  [
    "a new password",
    async () => {
      await stack.set("databasePassword", "another-password-1", { secret: true });
      await stack.up();
    },
  ],
  [
    "destroy and up",
    async () => {
      await stack.destroy();
      await stack.up();
    },
  ],
];

it("the data survives everything that the guide says it survives", async () => {
  stack = await createStack();
  await stack.up();
  await stack.sql("CREATE TABLE kept (what text)");
  for (const [what, happens] of survived) {
    await stack.sql(`INSERT INTO kept VALUES ('before ${what}')`);
    await happens();
    const rows = await stack.sql("SELECT string_agg(what, ', ' ORDER BY ctid) FROM kept");
    expect(rows.endsWith(`before ${what}`), `after ${what} there is: ${rows}`).toBe(true);
  }
  expect(await stack.sql("SELECT count(*) FROM kept")).toBe(String(survived.length));
  expect((await stack.budgie(["backup"])).code, "the backup agent knows the password of now").toBe(0);
  await stack.requireNoChange();
});
