import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";

let project: string;

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "budgie-program-"));
  await mkdir(join(project, "shared"));
  await cp("shared/run-program.mjs", join(project, "shared", "run-program.mjs"));
  await symlink(resolve("node_modules"), join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await writeFile(
    join(project, "start.mjs"),
    'import { runProgram } from "./shared/run-program.mjs";\nawait runProgram("shared/main.ts");\n',
  );
  await write("main.ts", 'import { word } from "./word.ts";\nconsole.log(word satisfies string);\n');
  await write("word.ts", 'export const word: string = "first";\n');
});
afterEach(() => rm(project, { recursive: true, force: true }));

/** Some time ago: what is younger than the bundle would not be trusted. */
async function write(name: string, text: string, secondsAgo = 60): Promise<void> {
  const file = join(project, "shared", name);
  await writeFile(file, text);
  const then = new Date(Date.now() - secondsAgo * 1000);
  await utimes(file, then, then);
}

const run = async () => (await execa("node", ["start.mjs"], { cwd: project, reject: false, all: true })).all;

it("a program runs from one file, which is made once", async () => {
  expect(await run()).toBe("first");
  const file = join(project, ".build", "shared-main.mjs");
  const text = 'console.log("from the file");\n';

  const [first] = (await readFile(file, "utf8")).split("\n", 1);
  await writeFile(file, `${first}\n${text}`);
  expect(await run()).toBe("from the file");
  const made = await readdir(join(project, ".build"));
  // From Node 22 on, what V8 made of it is kept, too.
  expect(made.filter(name => name !== "compiled")).toEqual(["shared-main.mjs"]);
});

it("an edit of any of its files counts at once, even with the size and the time of before", async () => {
  expect(await run()).toBe("first");
  await write("word.ts", 'export const word: string = "later";\n');
  expect(await run()).toBe("later");
  await rm(join(project, "shared", "word.ts"));
  expect(await run()).toContain("word.ts");
});

it("what is imported only when needed is a part of its own; when that is gone, all is made again", async () => {
  await write("main.ts", 'const { word } = await import("./word.ts");\nconsole.log(word);\n');
  expect(await run()).toBe("first");
  const parts = async () =>
    (await readdir(join(project, ".build"))).filter(name => name.startsWith("shared-main-part-"));
  const [part = ""] = await parts();
  expect(await readFile(join(project, ".build", part), "utf8")).toContain("first");

  await rm(join(project, ".build", part));
  expect(await run()).toBe("first");
  expect(await parts()).toEqual([part]);

  await write("word.ts", 'export const word: string = "later";\n');
  expect(await run()).toBe("later");
  expect(await parts(), "a program that runs already may still need the old one").toHaveLength(2);
});

it("half a file, or one that is none of ours, is made again", async () => {
  await mkdir(join(project, ".build"));
  for (const left of ["", "// made from [[", 'console.log("no mark");']) {
    await writeFile(join(project, ".build", "shared-main.mjs"), left);
    expect(await run()).toBe("first");
  }
});

it("where nothing can be written, the program runs all the same", async () => {
  await writeFile(join(project, ".build"), "a file in the folder's place");
  expect(await run()).toBe("first");
});
