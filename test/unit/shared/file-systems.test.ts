import * as fs from "node:fs/promises";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { leftPartials, openPartial, removeLeftovers } from "../../../agent/base/durable-file.ts";
import { isOnlyTaken, publishNew, unlessWithoutOwners } from "../../../shared/file-systems.ts";

vi.mock("node:fs/promises", async original => {
  const real = await original<typeof fs>();
  return { ...real, link: vi.fn(real.link), rename: vi.fn(real.rename) };
});

const failure = (code: string) => Object.assign(new Error(code), { code });
const NAME = "budgie_20260101_000000.sql";

let folder: string;
const at = (name: string) => join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-publish-"));
});

afterEach(async () => {
  vi.mocked(fs.link).mockReset();
  vi.mocked(fs.rename).mockReset();
  const real = await vi.importActual<typeof fs>("node:fs/promises");
  vi.mocked(fs.link).mockImplementation(real.link);
  vi.mocked(fs.rename).mockImplementation(real.rename);
  await rm(folder, { recursive: true });
});

describe.each(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"])("where a hard link is answered with %s", code => {
  beforeEach(() => {
    vi.mocked(fs.link).mockRejectedValue(failure(code));
  });

  it("a file gets its name, and nothing else stays", async () => {
    await writeFile(at("from"), "whole");
    await publishNew(at("from"), at("to"));
    expect(await readdir(folder)).toEqual(["to"]);
    expect(await readFile(at("to"), "utf8")).toBe("whole");
  });

  it("a name that is taken is refused, even by an empty file", async () => {
    await writeFile(at("from"), "mine");
    for (const theirs of ["theirs", ""]) {
      await writeFile(at("to"), theirs);
      await expect(publishNew(at("from"), at("to"))).rejects.toMatchObject({ code: "EEXIST" });
      expect(await readFile(at("to"), "utf8")).toBe(theirs);
    }
    expect(await readFile(at("from"), "utf8")).toBe("mine");
  });

  it("a rename that fails gives the taken name back", async () => {
    vi.mocked(fs.rename).mockRejectedValue(failure("EIO"));
    await writeFile(at("from"), "whole");
    await expect(publishNew(at("from"), at("to"))).rejects.toMatchObject({ code: "EIO" });
    expect(await readdir(folder)).toEqual(["from"]);
  });
});

it.each(["EIO", "ENOSPC", "EACCES", "EROFS"])(
  "a hard link that fails with %s is no reason to rename",
  async code => {
    vi.mocked(fs.link).mockRejectedValue(failure(code));
    await writeFile(at("from"), "whole");
    await expect(publishNew(at("from"), at("to"))).rejects.toMatchObject({ code });
    expect(await readdir(folder)).toEqual(["from"]);
  },
);

describe("what a kill leaves", () => {
  const partial = `.partial-dev-${NAME}`;

  it("between taking a name and the rename: both go, for whoever holds the lock", async () => {
    await writeFile(at(partial), "a dump");
    await writeFile(at(NAME), "");
    expect(await isOnlyTaken(at(partial), at(NAME))).toBe(true);
    await removeLeftovers(folder, "dev");
    expect(await readdir(folder)).toEqual([]);
  });

  it("after a hard link, before the hidden name is gone: the backup stays", async () => {
    await writeFile(at(partial), "a dump");
    await writeFile(at(NAME), "a dump");
    await removeLeftovers(folder, "dev");
    expect(await readdir(folder)).toEqual([NAME]);
  });

  it("an empty file that nobody took the name for is left alone, and so is another stack's", async () => {
    await writeFile(at(NAME), "");
    await writeFile(at(`.partial-dev-two-${NAME}`), "theirs");
    await removeLeftovers(folder, "dev");
    expect((await readdir(folder)).sort()).toEqual([`.partial-dev-two-${NAME}`, NAME]);
  });

  it("of a small file that was to be replaced: once it is old", async () => {
    const { handle, path } = await openPartial(folder, "replace", "a.json");
    await handle.close();
    expect(await leftPartials(folder, "dev")).toEqual([]);
    const old = new Date(Date.now() - 2 * 3_600_000);
    await fs.utimes(path, old, old);
    expect(await removeLeftovers(folder, "dev")).toEqual([".partial-replace-a.json"]);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("a chown that fails", () => {
  it.each(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EINVAL"])("with %s does not fail a backup", code => {
    expect(() => unlessWithoutOwners(failure(code))).not.toThrow();
  });

  it.each(["EIO", "ENOENT", "EROFS"])("with %s does", code => {
    expect(() => unlessWithoutOwners(failure(code))).toThrow();
  });
});
