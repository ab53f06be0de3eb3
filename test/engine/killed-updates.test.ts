import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { type RowWriter, startRowWriter } from "../support/database/row-writer.ts";
import { seededRandom } from "../support/random/seeded.ts";
import { freePort } from "../support/servers/free-port.ts";
import { type Kill, type Killed, runAndKill } from "../support/stack/killable-update.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

/**
 * KILL_SEED=N repeats a run: the same updates, killed after the same events. Each kill takes half a minute. So there are two, of kinds that
 * the seed picks; KILLS=20 is for a release.
 */
const SEED = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const KILLS = Number(process.env.KILLS ?? 2);
const PASSWORD = "of-the-writing-client-4f1c";
/** Twice as long as twenty take on a busy machine. */
const TIME_LIMIT_MS = 1_800_000;
/** The longest pause between two events of an update: a server starts or shuts down. */
const LONGEST_PAUSE_MS = 1_500;

interface Subject {
  stack: TestStack;
  writer: RowWriter;
}

interface Kind {
  name: string;
  /** About how many events its updates have; a kill that comes too late is tried again, earlier. */
  events: number;
  /** What comes before the update. */
  prepare?: (subject: Subject, round: number) => Promise<unknown>;
  /** The updates, run one after the other. One of them is killed. */
  updates: (stack: TestStack) => string[][];
}

const UP = ["up", "--yes", "--skip-preview"];
const DESTROY = ["destroy", "--yes", "--skip-preview"];
const databaseOf = ({ name }: TestStack) =>
  `urn:pulumi:${name}::budgie::budgie:stack:Database$docker:index/container:Container::database-container`;

const FIRST_UP: Kind = {
  name: "a first up",
  events: 90,
  prepare: async ({ stack, writer }) => {
    await stack.loseEverything();
    writer.forget();
  },
  updates: () => [UP],
};
const DESTROY_AND_UP: Kind = {
  name: "destroy, then up",
  events: 150,
  updates: () => [DESTROY, UP],
};
const NEW_DATABASE_CONTAINER: Kind = {
  name: "a replacement of the database",
  events: 100,
  updates: stack => [[...UP, "--replace", databaseOf(stack)]],
};
const NEW_SETTINGS: Kind = {
  name: "a change of the agent and of the API",
  events: 90,
  prepare: async ({ stack }, round) => {
    await stack.set("frontendUrl", `https://${round}.example.com`);
    await stack.set("keepDays", String(8 + round));
  },
  updates: () => [UP],
};

const subjects: Subject[] = [];
afterAll(async () => {
  await Promise.all(subjects.map(({ writer }) => writer.stop()));
  await Promise.all(subjects.map(({ stack }) => stack.remove()));
});

it(
  `an update killed at any moment costs no acknowledged row, and the documented recovery ends it (KILL_SEED=${SEED})`,
  async () => {
    const each = Math.max(1, Math.round(KILLS / 4));
    const some = (...kinds: [Kind, Kind]) => (KILLS < 4 ? kinds.slice(SEED % 2).slice(0, 1) : kinds);
    // Two stacks at once, because an update mostly waits.
    await Promise.all([
      killAll(SEED, some(FIRST_UP, DESTROY_AND_UP), each),
      killAll(SEED + 1, some(NEW_DATABASE_CONTAINER, NEW_SETTINGS), each),
    ]);
  },
  TIME_LIMIT_MS,
);

it(
  "an update killed between the database's two containers took the backup already, and the next one makes the second",
  async () => {
    const stack = await createStack();
    try {
      await stack.up();
      await stack.sql("CREATE TABLE kept AS SELECT 1 AS row");
      const killed = await runAndKill(stack, [...UP, "--replace", databaseOf(stack)], {
        afterEvents: /"op":"create-replacement"[^\n]*database-container/,
        afterMilliseconds: 0,
      });
      expect(killed.exitCode, killed.output).toBeNull();
      const recovered = await stack.recover();
      expect(recovered.code, recovered.all).toBe(0);
      const up = await stack.pulumi(...UP);
      expect(up.code, `${killed.output}\n${recovered.all}\n${up.all}`).toBe(0);
      // The kill can come before the state says that the first container is gone. Then a backup is taken once more.
      expect(up.all).toMatch(/The update before this one took the backup|Backup created successfully/);
      expect(await stack.sql("SELECT row FROM kept")).toBe("1");
      await stack.requireNoChange();
    } finally {
      await stack.remove();
    }
  },
  TIME_LIMIT_MS,
);

it("a state whose attributes a kill left empty cannot be read, and can be after the recovery", async () => {
  const stack = await createStack();
  try {
    await truncate(join(stack.stateFolder, ".pulumi", "stacks", "budgie", `${stack.name}.json.attrs`));
    // What a kill between two of the CLI's system calls leaves. Without it this test would show nothing.
    expect((await stack.pulumi("stack", "export")).stderr).toContain("failed to load checkpoint: EOF");
    const recovered = await stack.recover();
    expect(recovered.code, recovered.all).toBe(0);
    expect(await stack.pulumi("stack", "export")).toMatchObject({ code: 0, stderr: "" });
  } finally {
    await stack.remove();
  }
}, 120_000);

async function killAll(seed: number, kinds: readonly Kind[], times: number): Promise<void> {
  const random = seededRandom(seed);
  const subject = await createSubject();
  if (kinds[0] !== FIRST_UP) await subject.stack.up();
  for (const kind of kinds) {
    for (let round = 1; round <= times; round++) await killOne(subject, kind, round, random);
    await subject.stack.requireNoChange();
  }
}

async function createSubject(): Promise<Subject> {
  const port = await freePort();
  const stack = await createStack({ databasePort: String(port) });
  await stack.set("databasePassword", PASSWORD, { secret: true });
  const writer = startRowWriter({ port, password: PASSWORD, database: "budgie_dev" });
  const subject = { stack, writer };
  subjects.push(subject);
  return subject;
}

async function killOne(subject: Subject, kind: Kind, round: number, random: () => number): Promise<void> {
  const { stack, writer } = subject;
  const began = Date.now();
  await kind.prepare?.(subject, round);
  const { kill, output } = await killed(subject, kind, random);
  const moment = `${kind.name} ${round}, killed ${kill.afterMilliseconds} ms after event ${kill.afterEvents}`;
  const context = (what: string) => `${what} (${moment}; KILL_SEED=${SEED})\nThe killed update:\n${output}`;

  const recovered = await stack.recover();
  expect(recovered.code, `${context("npm run recover")}\n${recovered.all}`).toBe(0);
  const up = await stack.pulumi(...UP);
  expect(up.code, `${context("npm run up")}\nThe recovery:\n${recovered.all}\n${up.all}`).toBe(0);
  await writer.oneMore();
  expect(await writer.missing(), context("acknowledged rows are missing")).toEqual([]);
  console.log(`${((Date.now() - began) / 1000).toFixed(0)} s: ${moment}; ${writer.acknowledged()} rows`);
}

/** Kills one of the updates. If it had ended before the kill, it runs again and is killed earlier. */
async function killed(
  { stack }: Subject,
  kind: Kind,
  random: () => number,
): Promise<{ kill: Kill; output: string }> {
  for (let bound = kind.events; ; ) {
    const kill = {
      afterEvents: Math.floor(random() * bound),
      afterMilliseconds: Math.floor(random() * LONGEST_PAUSE_MS),
    };
    let [before, last]: [number, Killed | undefined] = [0, undefined];
    for (const args of kind.updates(stack)) {
      last = await runAndKill(stack, args, { ...kill, afterEvents: kill.afterEvents - before });
      if (last.exitCode === null) return { kill, output: last.output };
      expect(last.exitCode, `${kind.name}, not killed:\n${last.output}`).toBe(0);
      before += last.events;
    }
    console.log(`${kind.name} had ${before} events`);
    bound = Math.min(bound, before) - 1;
  }
}
