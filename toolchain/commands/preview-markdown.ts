import { dataOutlook } from "./preview-data.ts";
import type { Change, Fate, Preview } from "./preview-json.ts";

const SHOWN: readonly Fate[] = ["removed", "replaced", "updated", "created", "imported"];
const MOST_ROWS = 100;

/** The summary of a preview, for people who decide whether to run it. It names what changes and shows no values. */
export function previewMarkdown(stack: string, preview: Preview): string {
  const { losses, alarms, facts } = dataOutlook(preview.changes);
  const failed = preview.errors.length > 0;
  // Half a preview proves nothing of what it does not touch.
  const data = [
    ...losses.map(line => `🛑 ${line}`),
    ...alarms.map(line => `⚠️ ${line}`),
    ...(failed ? [] : facts),
  ];
  const changed = preview.changes.filter(({ fate, structural }) => SHOWN.includes(fate) && !structural);
  return `${[
    `## Preview of ${code(stack)}`,
    failed ? "**The preview failed.** What follows is incomplete." : counts(changed),
    ...section("Errors", preview.errors.map(block)),
    ...section("Data", data.length > 0 ? [list(data)] : []),
    ...section("Warnings", preview.warnings.map(block)),
    ...section("Changes", changed.length > 0 ? [table(changed)] : []),
  ].join("\n\n")}\n`;
}

function section(title: string, content: string[]): string[] {
  return content.length > 0 ? [`### ${title}`, ...content] : [];
}

function counts(changed: readonly Change[]): string {
  if (changed.length === 0) return "**No change.**";
  const parts = SHOWN.map(fate => [changed.filter(change => change.fate === fate).length, fate] as const)
    .filter(([count]) => count > 0)
    .map(([count, fate]) => `${count} ${fate}`);
  return `**${parts.join(", ")}.**`;
}

function list(lines: readonly string[]): string {
  return lines.map(line => `- ${line}`).join("\n");
}

function table(changed: readonly Change[]): string {
  const sorted = [...changed].sort((a, b) => SHOWN.indexOf(a.fate) - SHOWN.indexOf(b.fate));
  const rows = sorted.slice(0, MOST_ROWS).map(({ name, types, fate, properties }) => {
    const type = types.at(-1)?.split(":").at(-1) ?? "";
    return `| ${fate} | ${code(name)} | ${code(type)} | ${properties.map(code).join(", ")} |`;
  });
  const more = sorted.length - rows.length;
  return [
    "| | resource | type | what differs |",
    "| --- | --- | --- | --- |",
    ...rows,
    ...(more > 0 ? [`| | and ${more} more | | |`] : []),
  ].join("\n");
}

/** Text of the program under review, made unable to be anything but text. */
function code(text: string): string {
  return `\`${text.replace(/[`|\r\n]/g, "·")}\``;
}

function block(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${text}\n${fence}`;
}
