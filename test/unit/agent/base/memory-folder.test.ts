import { mkdir, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import {
  clearLeftMemoryFolders,
  leftMemoryFolders,
  withMemoryFolder,
} from "../../../../agent/base/memory-folder.ts";

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

it("was left behind when nobody holds it any more; one that is held is not", async () => {
  await withMemoryFolder(me, { passfile: "" }, async held => {
    const left = `${held}-of-a-killed-process`;
    await mkdir(left);
    const found = await leftMemoryFolders();
    expect(found).toContain(basename(left));
    expect(found).not.toContain(basename(held));
    await clearLeftMemoryFolders();
    expect(await leftMemoryFolders()).toEqual([]);
    await readdir(held);
  });
});
