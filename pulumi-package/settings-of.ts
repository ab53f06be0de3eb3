import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { settled } from "../components/prepare/settled.ts";
import { isLocal } from "../engine/address.ts";
import { NAMESPACE, type Problem } from "../settings/definition.ts";
import { judgeSettings, SECRET_NAMES, type SettingName, type Settings } from "../settings.ts";
import { PROJECT_FOLDER } from "../shared/project-folder.ts";
import type { PostgresWithBackupsArgs } from "./args.ts";

/** What a preview takes for a secret that another resource is yet to make. It fits every rule that the real one must fit. */
const NOT_MADE_YET = "a-Secret-that-2-previews-do-not-know-YET";

/** Keys and passwords, which other resources make. Of the other secrets, a preview must know what they are. */
const MAY_BE_UNKNOWN: readonly string[] = [
  "databasePassword",
  "sessionSecret",
  "s3AccessKeyId",
  "s3SecretAccessKey",
  "s3WriterAccessKeyId",
  "s3WriterSecretAccessKey",
];

/**
 * The settings that the arguments stand for, judged as the whole stack judges its own. Throws, with everything that is wrong. In the
 * stack's place stands the component: two programs may both have a stack `dev`, and one program two components.
 */
export async function settingsOf(name: string, args: PostgresWithBackupsArgs): Promise<Settings> {
  const given = await valuesOf(name, args);
  const withDefaults = { ...defaults(), namePrefix: name, ...given };
  const values = {
    ...withDefaults,
    // Begins in the program's folder, which is not this project's.
    backupDir:
      !given.engineHost || isLocal(given.engineHost)
        ? resolve(withDefaults.backupDir)
        : withDefaults.backupDir,
  };
  const judged = judgeSettings({
    stack: pulumi.getStack(),
    values: Object.fromEntries(Object.entries(values).map(([key, value]) => [`${NAMESPACE}:${key}`, value])),
    // Whether the program had one in plain text cannot be seen from here.
    isSecret: name => SECRET_NAMES.some(secret => name === `${NAMESPACE}:${secret}`),
  });
  if ("problems" in judged) throw new Error(describe(name, judged.problems));
  const { settings } = judged;
  return {
    ...settings,
    stack: [pulumi.getProject(), pulumi.getStack(), name].join("."),
    backend: given.backendImage ? settings.backend : { from: "none" },
  };
}

async function valuesOf(
  component: string,
  args: PostgresWithBackupsArgs,
): Promise<Partial<Record<SettingName, string>>> {
  const entries = Object.entries(args).filter(([, value]) => value !== undefined);
  const known = await Promise.all(
    entries.map(async ([name, value]) => [name, await knownValue(component, name, value)]),
  );
  return Object.fromEntries(known);
}

async function knownValue(component: string, name: string, value: pulumi.Input<unknown>): Promise<string> {
  const known = await settled(pulumi.output(value));
  if (known !== undefined && known !== null) return String(known);
  if (MAY_BE_UNKNOWN.includes(name)) return NOT_MADE_YET;
  throw new Error(
    `The argument ${name} of ${component} is not known before another resource is made, and without it nobody can tell what would become of the data. Nothing was changed.\n` +
      "Give it a value that the program knows, or bring the other resource up first:\n  pulumi up --target URN",
  );
}

/** Those of Pulumi.yaml, where they are for the whole stack too. */
function defaults(): Record<SettingName, string> {
  const { config } = parse(readFileSync(join(PROJECT_FOLDER, "Pulumi.yaml"), "utf8")) as {
    config: Record<SettingName, { default?: string }>;
  };
  return Object.fromEntries(
    Object.entries(config).map(([name, { default: value = "" }]) => [name, value]),
  ) as Record<SettingName, string>;
}

function describe(component: string, problems: readonly Problem[]): string {
  const title =
    problems.length === 1
      ? `An argument of ${component} is wrong. Nothing was changed.`
      : `${problems.length} arguments of ${component} are wrong. Nothing was changed.`;
  const parts = problems.map(({ what, allowed }) =>
    [what.replaceAll(`${NAMESPACE}:`, ""), ...(allowed ? [`  allowed: ${allowed}`] : [])].join("\n"),
  );
  return [title, ...parts].join("\n\n");
}
