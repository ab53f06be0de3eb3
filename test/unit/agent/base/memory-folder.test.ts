import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { leftMemoryFolders, withMemoryFolder } from "../../../../agent/base/memory-folder.ts";

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "budgie-memory-"));
});
afterEach(() => rm(home, { recursive: true }));

const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

it("holds the files for as long as the work lasts, also when that fails", async () => {
  let there = "";
  const work = withMemoryFolder(me, { passfile: "*:*:*:*:secret\n" }, async folder => {
    there = folder;
    expect(await readFile(join(folder, "passfile"), "utf8")).toBe("*:*:*:*:secret\n");
    throw new Error("the work failed");
  });
  await expect(work).rejects.toThrow("the work failed");
  await expect(readdir(there)).rejects.toThrow("ENOENT");
});

it("was left behind when its process is gone; those of running processes, and what is not one, are not", async () => {
  const gone = (await execa("node", ["-p", "process.pid"])).stdout;
  const suffix = "0123456789abcdef";
  for (const name of [
    `budgie-of-${gone}-${suffix}`,
    `budgie-of-${process.pid}-${suffix}`,
    `budgie-of-${gone}`,
    "other",
  ])
    await mkdir(join(home, name));
  expect(await leftMemoryFolders(home)).toEqual([join(home, `budgie-of-${gone}-${suffix}`)]);
});
