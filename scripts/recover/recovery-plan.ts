import { z } from "zod";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { askAgent, runAgent } from "../to-agent/agent-command.ts";

/** Of `list --json`: agent/catalogue/catalogue.ts has all of it. */
const entry = z.object({
  name: z.string(),
  flaw: z.string().nullable(),
  drill: z.union([z.object({ outcome: z.string() }), z.string()]).nullable(),
  manifest: z
    .object({
      startedAt: z.iso.datetime(),
      tables: z.array(z.object({ rows: z.number() })),
      globals: z.object({ file: z.string(), sha256: z.string() }).nullable().default(null),
    })
    .nullable(),
});
type Entry = z.infer<typeof entry>;
type Whole = Entry & { manifest: NonNullable<Entry["manifest"]> };

/** Of `choose`: agent/restore/settled-latest.ts. */
const choice = z.object({ name: z.string(), decision: z.object({ message: z.string() }).nullable() });
/** Of `status --json`. */
const status = z.object({ pointInTime: z.object({ latest: z.string().nullable() }).nullish() });

/** What is put into the new volume. */
export interface RecoveryPlan {
  /** A backup that counts, every byte of which was read. */
  backup: string;
  /** The moment to which its WAL leads, where that is later than the backup. */
  at: string | null;
  /** The roles that belong to the backup. */
  globals: { file: string; sha256: string } | null;
  /** What to tell before it is carried out. */
  lines: string[];
  /** The backup to take where this one cannot be restored. */
  otherwise: string | null;
}

const HOUR_MS = 3_600_000;

/**
 * What would be restored, and what is known of it: the backup that was named, or else the newest that counts and all WAL that was received
 * since. Asks the agent, which answers without a database. Throws a Stop where there is nothing to restore.
 */
export async function planRecovery(stack: Stack, named: string | undefined): Promise<RecoveryPlan> {
  const entries = z.array(entry).parse(JSON.parse(await answerOf(stack, ["list", "--json"])));
  const { name, warning } = named ? { name: named, warning: null } : await choose(stack);
  const backup = requireCounts(entries, name);
  const verified = await runAgent(stack, { args: ["verify", "--", name] });
  if (verified !== EXIT.done)
    throw new Stop(EXIT.unusableBackup, `${name} is not whole. Nothing was changed.`, OTHER_BACKUP);
  const latest = named ? null : await latestMoment(stack);
  const at = latest !== null && latest > backup.manifest.startedAt ? latest : null;
  const proven = entries.find(isProven);
  const otherwise = proven && proven.name !== name ? proven.name : null;
  const lines = describePlan(backup, at, proven?.name ?? null, new Date());
  const { globals } = backup.manifest;
  return { backup: name, at, globals, lines: warning ? [`[!] ${warning}`, ...lines] : lines, otherwise };
}

const OTHER_BACKUP =
  "Name another one, of those that `npx budgie list` shows: npx budgie recover-volume --backup BACKUP";

function requireCounts(entries: readonly Entry[], name: string): Whole {
  const found = entries.find(other => other.name === name);
  if (!found)
    throw new Stop(EXIT.unusableBackup, `There is no backup ${name}. Nothing was changed.`, OTHER_BACKUP);
  const { flaw, manifest } = found;
  if (flaw !== null || manifest === null)
    throw new Stop(
      EXIT.unusableBackup,
      `${name} does not count as a backup: ${flaw ?? "no manifest"}. Nothing was changed.`,
      OTHER_BACKUP,
    );
  return { ...found, manifest };
}

async function choose(stack: Stack): Promise<{ name: string; warning: string | null }> {
  const { name, decision } = choice.parse(JSON.parse(await answerOf(stack, ["choose"])));
  return { name, warning: decision?.message ?? null };
}

/** The agent says on standard error why it does not answer. */
async function answerOf(stack: Stack, args: readonly string[]): Promise<string> {
  const { code, stdout } = await askAgent(stack, { args });
  if (code === EXIT.done) return stdout;
  throw new Stop(
    EXIT.unusableBackup,
    "There is no backup that a new volume could be filled from. Nothing was changed.",
    "Bring one into the backup directory: `npx budgie list --remote`, then `npx budgie pull BACKUP`. Or copy it there from where you keep it.",
  );
}

/** Its exit code tells that not all is as it should be, as it is. */
async function latestMoment(stack: Stack): Promise<string | null> {
  const { stdout } = await askAgent(stack, { args: ["status", "--json"] });
  const answer = status.safeParse(JSON.parse(stdout || "null"));
  return answer.success ? (answer.data.pointInTime?.latest ?? null) : null;
}

function isProven({ drill, flaw }: Entry): boolean {
  return flaw === null && drill !== null && typeof drill !== "string" && drill.outcome === "good";
}

export function describePlan(backup: Whole, at: string | null, proven: string | null, now: Date): string[] {
  const { name, manifest } = backup;
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  const is = `${name}, ${ageOf(manifest.startedAt, now)} old: ${manifest.tables.length} tables, ${rows} rows, every byte as it was recorded`;
  const proof = isProven(backup)
    ? "It was proven by a restore."
    : `It was not drilled yet. The restore compares every table with what was recorded${proven ? `; the newest that was drilled is ${proven}` : ""}.`;
  const from = at === null ? is : `the base backup and the WAL up to ${at}, ${ageOf(at, now)} ago`;
  return [
    `[i] It is filled from ${from}.`,
    ...(at === null ? [`    ${proof}`] : [`    Should that fail, there is ${is}. ${proof}`]),
    `    What was written after ${at ?? manifest.startedAt} is not in it.`,
  ];
}

function ageOf(at: string, now: Date): string {
  const hours = Math.max(0, (now.getTime() - Date.parse(at)) / HOUR_MS);
  if (hours < 1) return `${Math.ceil(hours * 60)} minutes`;
  return hours < 48 ? `${hours.toFixed(1)} hours` : `${(hours / 24).toFixed(0)} days`;
}
