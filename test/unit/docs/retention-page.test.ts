import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse } from "yaml";
import type { KeptBackup } from "../../../agent/catalogue/judged-backup.ts";
import { decideRetention } from "../../../agent/retention/retention.ts";
import type { RetentionPolicy } from "../../../shared/retention-policy.ts";
import { keptByTheRules } from "../../support/retention/rules.ts";
import { takenAt } from "../../support/retention/taken-at.ts";

const page = readFileSync(new URL("../../../docs/retention.md", import.meta.url), "utf8");
const { config: settings } = parse(
  readFileSync(new URL("../../../Pulumi.yaml", import.meta.url), "utf8"),
) as {
  config: Record<string, { default: string }>;
};
const policy: RetentionPolicy = {
  days: asItIsSet("keepDays"),
  atLeast: asItIsSet("keepAtLeast"),
  weeks: asItIsSet("keepWeeks"),
  months: asItIsSet("keepMonths"),
};
const now = new Date("2026-11-22T02:05Z");

function asItIsSet(setting: string): number {
  const found = settings[setting]?.default;
  if (found === undefined) throw new Error(`Pulumi.yaml has no default for ${setting}`);
  return Number(found);
}

/** The stack of the page's example: its text says what happened. */
function example(): KeptBackup[] {
  const backups: KeptBackup[] = [];
  for (let time = Date.UTC(2026, 6, 1, 2); time <= now.getTime(); time += 24 * 3_600_000) {
    const at = new Date(time);
    const day = at.toISOString().slice(0, 10);
    if (day >= "2026-11-10" && day <= "2026-11-12") continue;
    const backup = takenAt(at);
    if (at.getUTCDay() === 0 && day < "2026-11-22")
      backup.proven = { at: `${day}T05:00:00.000Z`, outcome: day === "2026-11-15" ? "bad" : "good" };
    if (day === "2026-07-31") backup.pin = { until: null, pinnedAt: "2026-08-01T08:00:00.000Z" };
    if (day === "2026-11-22") backup.lacksCopyIn = ["aws/budgie-backups"];
    backups.push(backup);
  }
  backups.push(takenAt(new Date("2026-11-05T14:30Z"), {}, "before-change"));
  return backups.sort((a, b) => (a.name < b.name ? 1 : -1));
}

it("the page's example is what the agent decides", () => {
  const verdicts = decideRetention(example(), policy, now);
  const kept = verdicts.filter(({ keep }) => keep);
  expect(kept.map(({ name }) => name).sort()).toEqual(keptByTheRules(example(), policy, now));
  expect(page).toContain(`Of ${verdicts.length} backups, ${kept.length} stay:`);
  expect(page).toContain(kept.map(({ name, reason }) => `| \`${name}\` | ${reason} |`).join("\n"));
  const gone = verdicts.find(({ name }) => name === "budgie_20261114_020000.sql");
  expect(page).toContain(`\`${gone?.name}\` goes: ${gone?.reason}.`);
});

it("the page's settings are those of its example", () => {
  const { days, atLeast, weeks, months } = policy;
  for (const [setting, value] of Object.entries({
    keepDays: days,
    keepAtLeast: atLeast,
    keepWeeks: weeks,
    keepMonths: months,
  }))
    expect(page).toContain(`| \`budgie:${setting}\` | ${value} |`);
});
