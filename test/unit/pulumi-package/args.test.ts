import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { inTheirWords } from "../../../pulumi-package/in-their-words.ts";
import { managedDefinitions } from "../../../settings/managed-database.ts";
import { SETTING_NAMES } from "../../../settings.ts";

/**
 * What the component cannot have: it builds no API from somebody's folder, takes over no other stack's data, has no replicas, and its
 * database is in a container.
 */
const isNoArgument = (setting: string) =>
  ["backendContext", "backendDockerfile", "backendTarget"].includes(setting) ||
  /^(refresh|replica)/.test(setting) ||
  setting in managedDefinitions;

it("has an argument for each setting that a component can have, and no other", () => {
  const text = readFileSync("pulumi-package/args.ts", "utf8");
  const names = [...text.matchAll(/^ {2}(\w+)\??: pulumi\.Input</gm)].map(([, name]) => name as string);
  expect(names.sort()).toEqual(SETTING_NAMES.filter(name => !isNoArgument(name)).sort());
});

it("says an argument where the stack says a setting, and pulumi where the project has a command of its own", () => {
  const message = [
    "budgie:databaseName means another one.",
    "  npm run pulumi -- config set budgie:databaseName shop",
    "  npm run pulumi -- config set --secret budgie:databasePassword",
    "  npm run pulumi -- up",
  ].join("\n");
  expect(inTheirWords(message, "database")).toBe(
    [
      "the argument databaseName of database means another one.",
      "  set the argument databaseName of database to shop",
      "  set the argument databasePassword of database",
      "  pulumi up",
    ].join("\n"),
  );
});
