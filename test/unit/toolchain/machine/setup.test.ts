import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PROJECT_FOLDER } from "../../../../shared/project-folder.ts";
import { filesWithoutSalt, unsalted, withoutSalt } from "../../../../toolchain/commands/stack-file.ts";
import { prepareLocalState } from "../../../../toolchain/machine/local-state.ts";
import { isAtLeast } from "../../../../toolchain/machine/pulumi-cli.ts";

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
    await writeFile(file, before, { mode: 0o600 });
    await withoutSalt([file], () => writeFile(file, salted));
    expect(await readFile(file, "utf8")).toBe(before);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(["Pulumi.dev.yaml"]);
  });

  it("has lost the salt of somebody else's passphrase before Pulumi reads it", async () => {
    const file = join(folder, "Pulumi.dev.yaml");
    await writeFile(file, salted);
    await withoutSalt([file, join(folder, "Pulumi.none.yaml")], async () => {
      expect(await readFile(file, "utf8")).toBe(before.replace("  # which database\n", ""));
    });
    expect(await readdir(folder)).toEqual(["Pulumi.dev.yaml"]);
  });

  it("is given back even when the run failed", async () => {
    const file = join(folder, "Pulumi.dev.yaml");
    await writeFile(file, before);
    const failing = withoutSalt([file], async () => {
      await writeFile(file, salted);
      throw new Error("pulumi was killed");
    });
    await expect(failing).rejects.toThrow("pulumi was killed");
    expect(await readFile(file, "utf8")).toBe(before);
  });

  it.each([
    ["quotes", 'config:\n  budgie:httpPort: "8080"\n', "config:\n    budgie:httpPort: '8080'\n"],
    ["order", "config:\n  budgie:a: x\n  budgie:b: y\n", "config:\n  budgie:b: y\n  budgie:a: x\n"],
    [
      "long lines",
      `config:\n  budgie:a: ${"word ".repeat(30)}end\n`,
      `config:\n  budgie:a: >-\n    ${"word ".repeat(30)}end\n`,
    ],
    ["an empty config", "config: {}\n", ""],
    ["an empty file", "", ""],
    ["an empty map", "{}\n", ""],
  ])("is given back as it was when Pulumi wrote its %s in another way", (_, own, rewritten) => {
    expect(unsalted(own, `encryptionsalt: v1:abc\n${rewritten}`)).toBe(own);
  });

  it("loses a salt that plain pulumi wrote before, and keeps every word besides", () => {
    const noted =
      "encryptionsalt: v1:abc=:v1:def\nconfig:\n  # which database\n  budgie:databaseName: budgie_dev\n";
    expect(unsalted(noted, noted)).toBe(before);
    expect(unsalted(undefined, "encryptionsalt: v1:abc\n")).toBe("{}\n");
    const changed = salted.replace("budgie_dev", "budgie_other");
    expect(unsalted(before, changed)).toBe("config:\n  budgie:databaseName: budgie_other\n");
  });

  it.each([
    ["a secret setting", `${salted}  budgie:databasePassword:\n    secure: v1:x\n`],
    ["a secret deep in a setting", `${salted}  budgie:x:\n    list:\n      - y:\n          secure: v1:x\n`],
    ["a text that is no YAML", `${salted}config: [`],
  ])("keeps its salt beside %s", (_, text) => {
    expect(unsalted(before, text)).toBe(text);
    expect(unsalted(text, text)).toBe(text);
  });

  it("of another stack loses only a salt that it did not have", async () => {
    await writeFile(join(folder, "Pulumi.dev.yaml"), before);
    await writeFile(join(folder, "Pulumi.prod.yaml"), salted);
    await writeFile(join(folder, "Pulumi.yaml"), "name: budgie\n");
    expect(await filesWithoutSalt(folder)).toEqual([join(folder, "Pulumi.dev.yaml")]);
  });

  it("is in the repository without a salt, which would lock every other copy out", async () => {
    if (!existsSync(join(PROJECT_FOLDER, ".git"))) return;
    const git = async (...args: string[]) => (await run("git", args, { cwd: PROJECT_FOLDER })).stdout;
    const files = (await git("ls-files", "Pulumi.*.yaml")).trim().split("\n").filter(Boolean);
    for (const file of files) expect(await git("show", `:${file}`)).not.toMatch(/^encryptionsalt:/m);
  });
});

describe("the cache", () => {
  it("builds a thing once for two runs at the same time, and shows nothing half-made", async () => {
    vi.stubEnv("BUDGIE_CACHE", folder);
    vi.resetModules();
    const { builtOnce } = await import("../../../../toolchain/machine/cache.ts");
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
    const { builtOnce } = await import("../../../../toolchain/machine/cache.ts");
    const failing = builtOnce("thing", "key", () => Promise.reject(new Error("no space")));
    await expect(failing).rejects.toThrow("no space");
    expect(await builtOnce("thing", "key", async () => {})).toBe(join(folder, "thing", "key"));
  });

  it("has another key for other content, names and texts", async () => {
    const { contentKey } = await import("../../../../toolchain/machine/cache.ts");
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
  const entry = join(PROJECT_FOLDER, "toolchain", "run.mjs");

  it("refuses a command that it does not know, in one line", async () => {
    const failure = await run(process.execPath, [entry, "fly"]).catch(error => error);
    expect(failure.code).toBe(1);
    expect(failure.stderr).toBe(
      '[✗] There is no command "fly". Use one of: up, setup, recover, recover-state, test, pulumi, shell-env, bench, preview-comment, pin-images, settings.\n',
    );
  });
});

it("has a lock file that names the packages of every platform, without which npm ci refuses to install", async () => {
  const lock = JSON.parse(await readFile(join(PROJECT_FOLDER, "package-lock.json"), "utf8")) as {
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
