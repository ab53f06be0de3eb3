import type { DeclaredSetting } from "./declared-settings.ts";

/** What `pulumi config --json` says of one setting; a secret's value is left out. */
export type ShownConfig = Record<string, { value?: string; secret: boolean }>;

/** Every setting with its value, whether that is the default, and what it means. Then what is set, and is no setting. */
export function settingsList(declared: Record<string, DeclaredSetting>, shown: ShownConfig): string {
  const known = Object.entries(declared).map(([name, setting]) => {
    const { value, secret } = shown[`budgie:${name}`] ?? { value: setting.default, secret: false };
    return `budgie:${name}: ${inWords(value, secret, setting)}\n${indented(setting.description)}\n`;
  });
  const unknown = Object.keys(shown)
    .filter(name => name.startsWith("budgie:") && !(name.slice("budgie:".length) in declared))
    .map(name => `${name}: not a setting\n    Remove it: npm run pulumi -- config rm ${name}\n`);
  return [...known, ...unknown].join("\n");
}

function inWords(value: string | undefined, secret: boolean, setting: DeclaredSetting): string {
  if (setting.secret || secret) return value === "" ? "not set" : "[secret]";
  if (value === undefined || value === "") return "not set";
  return value === setting.default ? `${value} (default)` : value;
}

function indented(text: string, width = 100): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map(line => `    ${line}`).join("\n");
}
