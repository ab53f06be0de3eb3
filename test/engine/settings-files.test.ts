import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { previewEnvironment } from "../../toolchain/machine/environment.ts";
import { SLOW } from "../support/slow-lane.ts";
import { previewMany } from "../support/stack/preview-many.ts";
import {
  configurationOf,
  type SettingsFile,
  settingsFile,
  wrongAnswer,
} from "../support/stack/settings-files.ts";

const SEED = Date.now();
const FILES = SLOW ? 200 : 100;
const told = (file: SettingsFile, why: string) => `seed ${SEED}: ${JSON.stringify(file)}: ${why}`;

describe("random settings files", () => {
  it(`${FILES} of them are accepted and previewed by the program, or refused with everything that is wrong`, async () => {
    const files = fc.sample(settingsFile, { seed: SEED, numRuns: FILES });
    const outcomes = await previewMany(files.map(configurationOf));
    let previewed = 0;
    for (const [index, file] of files.entries()) {
      const outcome = outcomes[index];
      if (!outcome || "crash" in outcome) throw new Error(told(file, `it crashed: ${outcome?.crash}`));
      const wrong = wrongAnswer(file, "refusal" in outcome ? outcome.refusal : null);
      expect(wrong, told(file, wrong ?? "")).toBeNull();
      if (!("resources" in outcome)) continue;
      expect(outcome.resources, told(file, "it declared too little")).toBeGreaterThan(10);
      previewed++;
    }
    expect(previewed, `seed ${SEED}: some were accepted`).toBeGreaterThan(FILES * 0.1);
    expect(previewed, `seed ${SEED}: some were refused`).toBeLessThan(FILES * 0.9);
  });

  describe("by `pulumi preview`, with no engine", () => {
    let folder: string;
    let env: NodeJS.ProcessEnv;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "budgie-settings-"));
      await mkdir(join(folder, "state"));
      env = {
        ...(await previewEnvironment()),
        PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: "of a test",
        DOCKER_HOST: "unix:///nonexistent/engine.sock",
      };
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    const pulumi = (args: string[], input = "") =>
      execa("pulumi", [...args, "--non-interactive"], { env, input, reject: false, all: true });

    it("4 of them come to the same", async () => {
      // Only stacks whose name adds no requirement, and whose store needs no credentials.
      const some = settingsFile.filter(
        ({ stack, values }) => !stack.startsWith("prod") && values.objectStore !== "aws",
      );
      for (const [index, file] of fc.sample(some, { seed: SEED, numRuns: 4 }).entries()) {
        const { code, all } = await preview(`settings-${index}`, file);
        for (const problem of file.problems) expect(all, told(file, all)).toContain(problem);
        expect(code === 0, told(file, all)).toBe(file.problems.length === 0);
        expect(all, told(file, all)).toContain(
          code === 0 ? "docker:index:Container database-container create" : "Nothing was changed.",
        );
        expect(all, "no stack trace").not.toMatch(/\n +at .*\.[tj]s:\d+/);
        expect(all).not.toMatch(/secret[- ]canary/);
      }
    });

    it("a list where a text belongs is the CLI's to refuse, with the setting's name", async () => {
      await pulumi(["stack", "init", "list", "--no-select"]);
      await rm("Pulumi.list.yaml", { force: true });
      const config = join(folder, "list.yaml");
      await writeFile(config, "config:\n  budgie:databaseName: budgie_dev\n  budgie:httpPort: [80]\n");
      const { exitCode, all } = await pulumi(["preview", "--stack", "list", "--config-file", config]);
      expect(exitCode, all).not.toBe(0);
      expect(all).toContain("configuration key 'httpPort' must be of type 'string'");
    });

    it("`npm run settings` says what each is for, which `pulumi config` does not", async () => {
      await pulumi(["stack", "init", "shown", "--no-select"]);
      await rm("Pulumi.shown.yaml", { force: true });
      const config = join(folder, "shown.yaml");
      await writeFile(config, "config:\n  budgie:httpPort: 8080\n");
      const args = ["toolchain/run.mjs", "settings", "--stack", "shown", "--config-file", config];
      const { exitCode, all } = await execa("node", args, { env, reject: false, all: true });
      expect(exitCode, all).toBe(0);
      expect(all).toContain("budgie:httpPort: 8080\n    The port on which the API is published.");
      expect(all).toContain("budgie:keepDays: 7 (default)");
    });

    async function preview(stack: string, { values, secrets }: SettingsFile) {
      const made = await pulumi(["stack", "init", stack, "--no-select"]);
      expect(made.exitCode, made.all).toBe(0);
      await rm(`Pulumi.${stack}.yaml`, { force: true });
      const config = join(folder, `${stack}.yaml`);
      const plain = Object.entries(values).filter(([name]) => !secrets.includes(name));
      const lines = plain.map(([name, value]) => `  budgie:${name}: ${JSON.stringify(value)}\n`);
      await writeFile(config, `config:\n${lines.join("")}`);
      for (const name of secrets) {
        const set = [
          "config",
          "set",
          "--secret",
          `budgie:${name}`,
          "--stack",
          stack,
          "--config-file",
          config,
        ];
        expect((await pulumi(set, values[name])).exitCode, name).toBe(0);
      }
      const { exitCode, all = "" } = await pulumi(["preview", "--stack", stack, "--config-file", config]);
      return { code: exitCode, all };
    }
  });
});
