import { cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unsalted } from "../../toolchain/commands/stack-file.ts";
import { cacheFolder } from "../../toolchain/machine/cache.ts";
import { previewEnvironment } from "../../toolchain/machine/environment.ts";
import { ownHome } from "../../toolchain/machine/pulumi-home.ts";

/** What a clone does not have. */
const NOT_COMMITTED = ["node_modules", ".git", ".build", ".pulumi-state", ".passphrase", "backups"];
const NO_ENGINE = "No container engine answers at unix:///nonexistent/engine.sock (there is no such socket).";
const NO_CREDENTIALS =
  "Whose the bucket example-budgie-backups at Amazon S3 is cannot be told: no AWS credentials were found.";

let folder: string;
let clone: string;
let environment: NodeJS.ProcessEnv;

/** A machine with a clone of this project, Pulumi and Node, and nothing else: no engine, no credentials, no settings. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-preview-"));
  clone = join(folder, "clone");
  const home = join(folder, "home");
  await mkdir(home);
  await cp(".", clone, { recursive: true, filter: path => !NOT_COMMITTED.includes(basename(path)) });
  await symlink(resolve("node_modules"), join(clone, "node_modules"));
  await mkdir(join(clone, ".pulumi-state"));
  const known = await previewEnvironment();
  const withoutCredentials = Object.fromEntries(
    Object.entries(known).filter(([name]) => !/^(AWS|DOCKER|PULUMI_CONFIG|PULUMI_BACKEND|SSH)_/.test(name)),
  );
  environment = {
    ...withoutCredentials,
    HOME: home,
    BUDGIE_CACHE: cacheFolder,
    // The folder with the plugins: with an empty home the CLI would install the official ones.
    PULUMI_HOME: known.PULUMI_HOME ?? ownHome(),
    DOCKER_HOST: "unix:///nonexistent/engine.sock",
    PULUMI_CONFIG_PASSPHRASE: "of a test",
  };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(file: string, ...args: string[]) {
  const options = { cwd: clone, env: environment, extendEnv: false, stdin: "ignore", reject: false } as const;
  const { exitCode, stdout, stderr } = await execa(file, args, options);
  return { code: exitCode, stdout, all: `${stdout}\n${stderr}` };
}

async function succeed(file: string, ...args: string[]): Promise<string> {
  const { code, stdout, all } = await run(file, ...args);
  expect(code, all).toBe(0);
  return stdout;
}

describe.each([
  { stack: "dev", settings: {}, warnings: [NO_ENGINE] },
  { stack: "prod", settings: { bucket: "example-budgie-backups" }, warnings: [NO_ENGINE, NO_CREDENTIALS] },
])("on a machine with no engine and no credentials, $stack", ({ stack, settings, warnings }) => {
  beforeAll(async () => {
    await succeed("pulumi", "stack", "select", "--create", stack, "--non-interactive");
    for (const [name, value] of Object.entries(settings)) {
      await succeed("pulumi", "config", "set", `budgie:${name}`, value, "--stack", stack);
    }
  });

  it("is previewed, with a warning for each that is missing, and agrees with the policies", async () => {
    const text = await succeed(
      "pulumi",
      ...["preview", "--stack", stack, "--non-interactive", "--policy-pack", "policy/start.cjs"],
    );
    for (const warning of warnings) expect(text).toContain(warning);
    expect(text).toMatch(/Policies:\n +(✅|⚠️) budgie@v/);
    expect(text).not.toContain("[mandatory]");
    expect(text).toContain("docker:index:Container database-container create");
  });

  it("is summed up, with the same warnings", async () => {
    const before = await readFile(join(clone, `Pulumi.${stack}.yaml`), "utf8");
    const text = await succeed("npm", "run", "-s", "preview:comment", "--", "--stack", stack);
    expect(text).toMatch(new RegExp(`^## Preview of \`${stack}\`\n\n\\*\\*\\d+ created\\.\\*\\*\n`));
    for (const warning of warnings) expect(text).toContain(warning);
    expect(text).toContain("- The database's container is new.\n- No backup is needed.");
    expect(await readFile(join(clone, `Pulumi.${stack}.yaml`), "utf8")).toBe(unsalted(undefined, before));
  });
});

it("a stack that there is not is refused, with what to type", async () => {
  const { code, all } = await run("npm", "run", "-s", "preview:comment", "--", "--stack", "nowhere");
  expect(code, all).toBe(1);
  expect(all).toContain("no stack named 'nowhere' found\n    Make it: npm run pulumi -- stack init nowhere");
});
