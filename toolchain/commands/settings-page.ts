// npm run settings:page: writes docs/settings.md from Pulumi.yaml and settings.ts.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { NAMESPACE, type SettingDefinition, setCommand } from "../../settings/definition.ts";
import { definitionOf, SETTING_NAMES, type SettingName } from "../../settings.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { type DeclaredSetting, declaredSettings } from "./declared-settings.ts";

export const SETTINGS_PAGE = join(PROJECT_FOLDER, "docs", "settings.md");

/** The page as it should be. Throws when one of the two places has a setting that the other lacks. */
export function settingsPage(): string {
  const config = declaredSettings();
  const names = Object.keys(config).filter((name): name is SettingName => name in definitionOf);
  if (names.length !== Object.keys(config).length || names.length !== SETTING_NAMES.length)
    throw new Error("Pulumi.yaml and settings.ts do not have the same settings.");
  return [
    "# Settings",
    "",
    "`npm run settings:page` makes this page from `Pulumi.yaml`, `settings.ts` and `settings/`. Change those, not this page.",
    "",
    "Each command below sets an example's value on the selected stack; `--stack prod` names another. `npm run up` carries out what you set.",
    "The command asks for a secret, or reads it from standard input, and encrypts it in `Pulumi.STACK.yaml`. All settings of a stack are",
    "checked together before anything is touched, and one message names everything that is wrong. `npm run settings` shows what a stack has.",
    "",
    ...names.flatMap(name => section(name, config[name] as DeclaredSetting, definitionOf[name])),
  ].join("\n");
}

function section(
  name: string,
  { default: value, description }: DeclaredSetting,
  definition: SettingDefinition,
) {
  const { allowed, secret } = definition;
  return [
    `## ${name}`,
    "",
    description,
    "",
    `- default: ${value === "" ? "none" : `\`${value}\``}`,
    `- allowed: ${allowed}`,
    ...(secret ? ["- secret: yes"] : []),
    `- \`${setCommand(name, definition)}\``,
    "",
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  writeFileSync(SETTINGS_PAGE, settingsPage());
  process.stdout.write(`${SETTINGS_PAGE} is current; ${NAMESPACE}:* has ${SETTING_NAMES.length} settings.\n`);
}
