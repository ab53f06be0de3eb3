import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { prepareLocalState } from "../../toolchain/local-state.ts";
import { projectFolder } from "../../toolchain/project.ts";
import { isAtLeast } from "../../toolchain/pulumi-cli.ts";
import { onlySaltAdded, withoutSalt } from "../../toolchain/stack-file.ts";
import { countTests } from "../../toolchain/test-count.ts";

const run = promisify(execFile);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "toolchain-"));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

describe("the first run in a project folder", () => {
  const environment = () => ({ PULUMI_CONFIG_PASSPHRASE_FILE: join(folder, ".passphrase") });
  const mode = async (name: string) => ((await stat(join(folder, name))).mode & 0o777).toString(8);
  const withStack = async () => {
    const stacks = join(folder, ".pulumi-state", ".pulumi", "stacks", "budgie");
    await mkdir(stacks, { recursive: true });
    await writeFile(join(stacks, "dev.json"), "{}");
  };

  it("makes folders and a passphrase that only this user can read", async () => {
    await prepareLocalState(folder, environment());
    expect([await mode("backups"), await mode(".pulumi-state"), await mode(".passphrase")]).toEqual([
      "700",
      "700",
      "600",
    ]);
    expect((await readFile(join(folder, ".passphrase"), "utf8")).trim()).toMatch(/^[\w-]{43}$/);
  });

  it("keeps the passphrase that is there, with or without stacks", async () => {
    await writeFile(join(folder, ".passphrase"), "mine");
    await prepareLocalState(folder, environment());
    await withStack();
    await prepareLocalState(folder, environment());
    expect(await readFile(join(folder, ".passphrase"), "utf8")).toBe("mine");
  });

  it("refuses to make a new passphrase where stacks need the old one", async () => {
    await withStack();
    await expect(prepareLocalState(folder, environment())).rejects.toThrow(
      /\.passphrase is missing, but there are stacks whose secrets it unlocks \(budgie\/dev/,
    );
    expect(existsSync(join(folder, ".passphrase"))).toBe(false);
  });

  it("refuses an empty passphrase and a stack file that another one locks", async () => {
    await writeFile(join(folder, ".passphrase"), "\n");
    await expect(prepareLocalState(folder, environment())).rejects.toThrow(".passphrase is empty");
    await rm(join(folder, ".passphrase"));
    await writeFile(join(folder, "Pulumi.dev.yaml"), "encryptionsalt: v1:abc\n");
    await expect(prepareLocalState(folder, environment())).rejects.toThrow('the line "encryptionsalt"');
  });

  it("leaves the passphrase to an operator who gives it another way", async () => {
    await prepareLocalState(folder, { PULUMI_CONFIG_PASSPHRASE: "x" });
    await prepareLocalState(folder, { PULUMI_CONFIG_PASSPHRASE_FILE: "/elsewhere" });
    expect(await readdir(folder)).toEqual([".pulumi-state", "backups"]);
  });
});

describe("the committed stack file", () => {
  const before = "config:\n  # which database\n  budgie:databaseName: budgie_dev\n";
  const salted = "encryptionsalt: v1:abc=:v1:def\nconfig:\n  budgie:databaseName: budgie_dev\n";

  it("is given back as it was when Pulumi only added its salt", async () => {
    const file = join(folder, "Pulumi.dev.yaml");
    await writeFile(file, before);
    await withoutSalt(file, () => writeFile(file, salted));
    expect(await readFile(file, "utf8")).toBe(before);
  });

  it("keeps a changed setting together with the salt", () => {
    expect(onlySaltAdded(before, salted)).toBe(true);
    expect(onlySaltAdded("", "encryptionsalt: v1:abc\n")).toBe(true);
    expect(onlySaltAdded("{}\n", "encryptionsalt: v1:abc\n")).toBe(true);
    expect(onlySaltAdded(before, `${salted}  budgie:databasePassword:\n    secure: v1:x\n`)).toBe(false);
    expect(onlySaltAdded(salted, salted.replace("abc", "xyz"))).toBe(false);
  });

  it("is in the repository without a salt, which would lock every other copy out", async () => {
    if (!existsSync(join(projectFolder, ".git"))) return;
    const git = async (...args: string[]) => (await run("git", args, { cwd: projectFolder })).stdout;
    const files = (await git("ls-files", "Pulumi.*.yaml")).trim().split("\n").filter(Boolean);
    for (const file of files) expect(await git("show", `:${file}`)).not.toMatch(/^encryptionsalt:/m);
  });
});

describe("counting tests", () => {
  const report = (passed: number, failed: number, files: unknown[] = []) =>
    JSON.stringify({ numPassedTests: passed, numFailedTests: failed, testResults: files });

  it("adds up tests, and files that broke before their tests", () => {
    expect(countTests(report(3, 0), 0)).toEqual({ passed: 3, failed: 0 });
    expect(countTests(report(3, 2), 1)).toEqual({ passed: 3, failed: 2 });
    const files = [
      { status: "failed", assertionResults: [] },
      { status: "failed", assertionResults: [{ status: "failed" }] },
    ];
    expect(countTests(report(3, 1, files), 1)).toEqual({ passed: 3, failed: 2 });
  });

  it("never calls a broken run good", () => {
    expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1 });
    expect(countTests(report(3, 0), 1)).toEqual({ passed: 3, failed: 1 });
  });
});

describe("the cache", () => {
  it("builds a thing once for two runs at the same time, and shows nothing half-made", async () => {
    vi.stubEnv("BUDGIE_CACHE", folder);
    vi.resetModules();
    const { builtOnce } = await import("../../toolchain/cache.ts");
    let builds = 0;
    const build = async (unfinished: string) => {
      builds += 1;
      await writeFile(join(unfinished, "a"), "half");
      expect(existsSync(join(folder, "thing", "key"))).toBe(false);
      await writeFile(join(unfinished, "a"), "whole");
    };
    const folders = await Promise.all([builtOnce("thing", "key", build), builtOnce("thing", "key", build)]);
    expect(builds).toBe(1);
    expect(new Set(folders)).toEqual(new Set([join(folder, "thing", "key")]));
    expect(await readFile(join(folder, "thing", "key", "a"), "utf8")).toBe("whole");
  });

  it("builds again after a build that failed", async () => {
    vi.stubEnv("BUDGIE_CACHE", folder);
    vi.resetModules();
    const { builtOnce } = await import("../../toolchain/cache.ts");
    const failing = builtOnce("thing", "key", () => Promise.reject(new Error("no space")));
    await expect(failing).rejects.toThrow("no space");
    expect(await builtOnce("thing", "key", async () => {})).toBe(join(folder, "thing", "key"));
  });

  it("has another key for other content, names and texts", async () => {
    const { contentKey } = await import("../../toolchain/cache.ts");
    const path = join(folder, "recipe");
    await mkdir(path);
    await writeFile(join(path, "a"), "1");
    const keys = [await contentKey([path]), await contentKey([path], "x")];
    await writeFile(join(path, "a"), "2");
    keys.push(await contentKey([path]));
    await writeFile(join(path, "b"), "");
    keys.push(await contentKey([path]));
    expect(new Set(keys).size).toBe(4);
  });
});

describe("versions", () => {
  it.each([
    ["3.248.0", "3.248.0", true],
    ["3.256.1", "3.248.0", true],
    ["4.0.0", "3.248.0", true],
    ["3.99.9", "3.248.0", false],
    ["3.248.0", "3.248.1", false],
  ])("%s is at least %s: %s", (version, wanted, expected) => {
    expect(isAtLeast(version, wanted)).toBe(expected);
  });
});

describe("the entry", () => {
  const entry = join(projectFolder, "toolchain", "run.mjs");

  it("refuses a command that it does not know, in one line", async () => {
    const failure = await run(process.execPath, [entry, "fly"]).catch(error => error);
    expect(failure.code).toBe(1);
    expect(failure.stderr).toBe(
      '[✗] There is no command "fly". Use one of: up, recover, test, pulumi, shell-env, bench, preview-comment, pin-images, settings.\n',
    );
  });
});

it("has a lock file that names the packages of every platform, without which npm ci refuses to install", async () => {
  const lock = JSON.parse(await readFile(join(projectFolder, "package-lock.json"), "utf8")) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(name => !isLocked(lock.packages, path, name)),
  );
  expect(missing).toEqual([]);
});

/** Looks where Node would: beside the package, and in every folder above it. */
function isLocked(packages: Record<string, unknown>, path: string, name: string): boolean {
  const above = path
    .split("/node_modules/")
    .map((_, index, parts) => parts.slice(0, index + 1).join("/node_modules/"));
  return [...above.map(folder => `${folder}/node_modules/${name}`), `node_modules/${name}`].some(
    at => at in packages,
  );
}
