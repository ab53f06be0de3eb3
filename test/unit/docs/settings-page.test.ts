import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { definitionOf, SECRET_NAMES, SETTING_NAMES } from "../../../settings.ts";
import { SETTINGS_PAGE, settingsPage } from "../../../toolchain/commands/settings-page.ts";

const page = readFileSync(SETTINGS_PAGE, "utf8");

it("docs/settings.md is what the settings say; `npm run settings:page` makes it so", () => {
  expect(page).toBe(settingsPage());
});

it("it has every setting, once, with its description, what is allowed, and whether it is secret", () => {
  const { config } = parse(readFileSync("Pulumi.yaml", "utf8")) as {
    config: Record<string, { description: string }>;
  };
  const sections = new Map(
    page
      .split(/^## /m)
      .slice(1)
      .map(text => [text.split("\n")[0], text]),
  );
  expect([...sections.keys()].sort()).toEqual([...SETTING_NAMES].sort());
  for (const name of SETTING_NAMES) {
    expect(sections.get(name)).toContain(config[name]?.description);
    expect(sections.get(name)).toContain(`- allowed: ${definitionOf[name].allowed}`);
    expect(sections.get(name)?.includes("- secret: yes"), name).toBe(SECRET_NAMES.includes(name));
  }
});

it("every example on it is accepted, but for what is cut short", () => {
  for (const name of SETTING_NAMES.filter(name => !SECRET_NAMES.includes(name))) {
    const { schema, example } = definitionOf[name];
    if (example.endsWith("...")) continue;
    expect(schema.safeParse(example).success, `${name} ${example}`).toBe(true);
  }
});
