import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { actionlint } from "../../toolchain/machine/actionlint.ts";
import { installed } from "../../toolchain/machine/container-engine.ts";

interface Workflow {
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  concurrency: { group: string; "cancel-in-progress": unknown };
  jobs: Record<
    string,
    {
      permissions?: Record<string, string>;
      strategy?: { matrix: { stack: string[] } };
      steps: { uses?: string; run?: string; with?: Record<string, unknown> }[];
    }
  >;
}

const folder = ".github/workflows";
const files = readdirSync(folder);
const text = (file: string) => readFileSync(join(folder, file), "utf8");
const workflow = (file: string) => parse(text(file)) as Workflow;

// A machine that downloads everything needs no Go; CI has it, and must lint.
describe.skipIf(!(await installed("go")) && !process.env.CI)("actionlint", () => {
  let linter: string;
  beforeAll(async () => {
    linter = await actionlint();
  }, 300_000);
  const lint = (...args: string[]) =>
    execa(linter, ["-no-color", "-shellcheck=", "-pyflakes=", ...args], { reject: false });

  it("finds nothing wrong with the workflows", async () => {
    const { stdout, exitCode } = await lint(...files.map(file => join(folder, file)));
    expect(stdout).toBe("");
    expect(exitCode).toBe(0);
  });

  it("would find it: a step that puts a branch's name into a script", async () => {
    const bad = text("preview.yml").replace('"$STACK"', `\${{ github.head_ref }}`);
    const { stdout, exitCode } = await execa(linter, ["-no-color", "-shellcheck=", "-pyflakes=", "-"], {
      input: bad,
      reject: false,
    });
    expect(stdout).toContain("potentially untrusted");
    expect(exitCode).toBe(1);
  });
});

describe.each(files)("%s", file => {
  it("takes every action by a full commit, and says which version that is", () => {
    const uses = text(file)
      .split("\n")
      .filter(line => line.includes("uses:"));
    expect(uses.length).toBeGreaterThan(0);
    for (const line of uses) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("may read the code and nothing else, unless a job says so", () => {
    expect(workflow(file).permissions).toEqual({ contents: "read" });
  });

  it("runs no stranger's code with this repository's secrets", () => {
    expect(Object.keys(workflow(file).on)).not.toContain("pull_request_target");
    expect(Object.keys(workflow(file).on)).not.toContain("workflow_run");
  });

  it("leaves no token behind in the clone", () => {
    const checkouts = Object.values(workflow(file).jobs)
      .flatMap(({ steps }) => steps)
      .filter(({ uses }) => uses?.startsWith("actions/checkout@"));
    expect(checkouts.length).toBeGreaterThan(0);
    for (const checkout of checkouts) expect(checkout.with).toMatchObject({ "persist-credentials": false });
  });
});

describe("the preview of a pull request", () => {
  const { concurrency, jobs } = workflow("preview.yml");
  const job = jobs.preview;
  const preview = job?.steps.find(step => step.with?.command === "preview");

  it("is made of dev and prod, and of nothing that has no file", () => {
    const stacks = readdirSync(".").flatMap(file => /^Pulumi\.(\w+)\.yaml$/.exec(file)?.[1] ?? []);
    expect(job?.strategy?.matrix.stack).toEqual(expect.arrayContaining(["dev", "prod"]));
    for (const stack of job?.strategy?.matrix.stack ?? []) expect(stacks).toContain(stack);
  });

  it("ends when a newer commit comes", () => {
    expect(concurrency["cancel-in-progress"]).toBe(true);
    expect(concurrency.group).toContain("github.event.pull_request.number");
  });

  it("is one comment that is kept up to date, where there is a token that may write it", () => {
    expect(job?.permissions).toEqual({ contents: "read", "pull-requests": "write" });
    expect(preview?.with).toMatchObject({ "edit-pr-comment": true });
    expect(preview?.with?.["comment-on-pr"]).toContain("head.repo.full_name == github.repository");
  });

  it("is checked by the policy pack, under the version of Pulumi that the project builds elsewhere", () => {
    const pack = String(preview?.with?.policyPacks);
    expect(existsSync(pack), pack).toBe(true);
    const [, version] =
      /^const VERSION = "(.+)"/m.exec(readFileSync("toolchain/machine/pulumi-cli.ts", "utf8")) ?? [];
    const versions = job?.steps.flatMap(step => (step.with?.["pulumi-version"] as string | undefined) ?? []);
    expect(new Set(versions)).toEqual(new Set([version]));
  });

  it("runs scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as {
      scripts: Record<string, string>;
    };
    const runs = files.flatMap(file => Object.values(workflow(file).jobs).flatMap(({ steps }) => steps));
    const called = runs.flatMap(({ run = "" }) =>
      [...run.matchAll(/npm run (?:-s )?(\S+)/g)].map(([, name]) => name),
    );
    expect(called).toEqual(["preview:comment"]);
    for (const name of called) expect(scripts).toHaveProperty([String(name)]);
  });
});

describe("dependency updates", () => {
  interface Updates {
    updates: { "package-ecosystem": string; directory?: string; directories?: string[] }[];
  }
  const { updates } = parse(readFileSync(".github/dependabot.yml", "utf8")) as Updates;
  const of = (ecosystem: string) =>
    updates
      .filter(update => update["package-ecosystem"] === ecosystem)
      .flatMap(({ directory, directories }) => directories ?? [directory]);
  const holding = (parent: string, file: string) =>
    readdirSync(parent)
      .filter(name => existsSync(join(parent, name, file)))
      .map(name => join("/", parent, name));

  it("cover the packages, the actions, and every Go module, image and requirement", () => {
    expect(of("npm")).toEqual(["/"]);
    expect(of("github-actions")).toEqual(["/"]);
    expect(of("gomod")).toEqual(holding("toolchain", "go.mod"));
    expect(of("docker")).toEqual(holding(".", "Dockerfile"));
    expect(of("pip")).toEqual(holding("toolchain", "requirements.txt"));
  });
});
