import type { RetentionPolicy } from "../../shared/retention-policy.ts";
import {
  isBad,
  isProven,
  isUnloadable,
  type JudgedBackup,
  judgeBackup,
  type KeptBackup,
  TIME_TOLERANCE_MS,
} from "../catalogue/judged-backup.ts";
import { dayOf, monthOf, timeInName, weekOf } from "../manifest/backup-time.ts";
import { holdsMore } from "../manifest/holds-more.ts";
import type { Reason } from "../manifest/manifest.ts";

/** For how long a backup that was taken before a change is kept as if pinned. Within a month the books are closed once. */
export const BEFORE_CHANGE_DAYS = 30;
/** For how long a backup stays that holds what the newest one has lost. A loss that nobody notices in a quarter may be wanted. */
export const FULLER_DAYS = 90;
const DAY_MS = 24 * 3_600_000;
const BEFORE_CHANGE: readonly Reason[] = ["before-change", "before-destroy", "before-restore"];

export interface Verdict {
  name: string;
  keep: boolean;
  /** In the operator's words; more than one are joined by `; `. */
  reason: string;
}

/** What every rule looks at, newest first. */
interface Shelf {
  policy: RetentionPolicy;
  good: readonly JudgedBackup[];
  newestProven: JudgedBackup | undefined;
  /** The newest one that holds what the newest good one has lost, while there is one. */
  fuller: JudgedBackup | undefined;
  /** The newest days, weeks and months that have a good backup, and which one stands for each. */
  days: ReadonlyMap<string, JudgedBackup>;
  weeks: ReadonlyMap<string, JudgedBackup>;
  months: ReadonlyMap<string, JudgedBackup>;
  names: readonly string[];
}

/**
 * Says of every backup whether it is kept or removed, and why. To act on it destroys data, so:
 * - what cannot be judged is kept, and counts for nothing: see `judgeBackup`;
 * - time alone removes nothing: a backup goes when newer good ones have filled its places. `now` only shows that the clock
 *   is wrong, and then nothing goes;
 * - what one run leaves, the next one leaves too, until there is another backup, drill or pin;
 * - a backup that cannot be reloaded is kept as if nobody had tried it, because its rows can be got back by hand. It pushes out
 *   no backup that can be reloaded: those are kept as if it were not there.
 */
export function decideRetention(
  backups: readonly KeptBackup[],
  policy: RetentionPolicy,
  now: Date,
): Verdict[] {
  const ahead = newestAhead(backups, now);
  if (ahead !== null) {
    const reason = `nothing is removed while ${ahead} is from the future: the clock is, or was, wrong`;
    return backups.map(({ name }) => ({ name, keep: true, reason }));
  }
  const shelf = arrange(backups, policy);
  const loadable = arrange(
    backups.filter(backup => !isUnloadable(backup)),
    policy,
  );
  return backups.map(backup => decide(backup, shelf, loadable));
}

/** The name of the newest backup, when the clock is behind it. */
export function newestAhead(backups: readonly KeptBackup[], now: Date): string | null {
  const times = backups.map(({ name }) => ({ name, at: timeInName(name) ?? Number.NEGATIVE_INFINITY }));
  const newest = times.sort((a, b) => b.at - a.at)[0];
  return newest === undefined || newest.at <= now.getTime() + TIME_TOLERANCE_MS ? null : newest.name;
}

function arrange(backups: readonly KeptBackup[], policy: RetentionPolicy): Shelf {
  const good = backups
    .map(judgeBackup)
    .filter(judged => typeof judged !== "string")
    .filter(judged => !isBad(judged))
    .sort((a, b) => b.at - a.at);
  return {
    policy,
    good,
    newestProven: good.find(isProven),
    fuller: newestFuller(good),
    days: newestGroups(good, dayOf, policy.days),
    weeks: newestGroups(good, weekOf, policy.weeks),
    months: newestGroups(good, monthOf, policy.months),
    names: backups.map(({ name }) => name),
  };
}

/** A table that somebody dropped would otherwise be gone from every backup a week later. */
function newestFuller([newest, ...rest]: readonly JudgedBackup[]): JudgedBackup | undefined {
  return rest.find(
    ({ manifest }) =>
      manifest &&
      newest?.manifest &&
      manifest.systemIdentifier === newest.manifest.systemIdentifier &&
      holdsMore(manifest, newest.manifest),
  );
}

/**
 * The first good backup of a week stands for it, so that no later one can take its place and so remove it. Only a backup that a
 * drill has proven goes before one that nobody has tried.
 */
function newestGroups(
  good: readonly JudgedBackup[],
  groupOf: (at: number) => string,
  count: number,
): ReadonlyMap<string, JudgedBackup> {
  const groups = new Map<string, JudgedBackup>();
  for (const backup of good) {
    const group = groupOf(backup.at);
    const standing = groups.get(group);
    if (!standing && groups.size >= count) break;
    if (!standing || isProven(backup) || !isProven(standing)) groups.set(group, backup);
  }
  return groups;
}

function decide(backup: KeptBackup, shelf: Shelf, loadable: Shelf): Verdict {
  const { name } = backup;
  const judged = judgeBackup(backup);
  if (typeof judged === "string")
    return { name, keep: true, reason: `${judged}: does not count, and is left alone` };
  const standing = isBad(judged) ? whyBadStays(judged, shelf) : whyGoodStays(judged, shelf, loadable);
  const why = [...standing, ...whyHeld(judged, shelf)];
  if (why.length > 0) return { name, keep: true, reason: why.join("; ") };
  return {
    name,
    keep: false,
    reason: isBad(judged) ? whyBadGoes(judged, shelf) : whyGoodGoes(judged, shelf),
  };
}

function whyGoodStays(backup: JudgedBackup, shelf: Shelf, loadable: Shelf): string[] {
  const why = placesOf(backup, shelf);
  if (why.length > 0 || isUnloadable(backup)) return why;
  return placesOf(backup, loadable).map(place => `${place}, of those that can be reloaded`);
}

function placesOf(backup: JudgedBackup, shelf: Shelf): string[] {
  const { policy, good, newestProven, days, weeks, months } = shelf;
  const { name, at } = backup;
  const why: string[] = [];
  if (newestProven?.name === name) why.push("the newest proven one");
  if (good[0]?.name === name) why.push(isUnloadable(backup) ? "the newest one" : "the newest good one");
  if (days.has(dayOf(at))) why.push(`of ${newest(policy.days, "day")}`);
  if (good.slice(0, policy.atLeast).some(other => other.name === name))
    why.push(`among the newest ${policy.atLeast}`);
  if (weeks.get(weekOf(at))?.name === name) why.push(`stands for the week of ${weekOf(at)}`);
  if (months.get(monthOf(at))?.name === name) why.push(`stands for the month ${monthOf(at)}`);
  return why;
}

function whyGoodGoes({ at }: JudgedBackup, { policy, weeks, months }: Shelf): string {
  const taken = (unit: string, count: number, standing: JudgedBackup | undefined) =>
    standing
      ? `${standing.name} stands for its ${unit}`
      : count > 0 && `its ${unit} is not of ${newest(count, unit)}`;
  return [
    `not of ${newest(policy.days, "day")}`,
    taken("week", policy.weeks, weeks.get(weekOf(at))),
    taken("month", policy.months, months.get(monthOf(at))),
  ]
    .filter(Boolean)
    .join("; ");
}

/** A bad one stays as long as a good one of its day would, to be looked into, and until a newer one is proven. */
function whyBadStays({ at }: JudgedBackup, { policy, newestProven, days }: Shelf): string[] {
  const why: string[] = [];
  const oldestDay = [...days.keys()].at(-1) ?? "";
  if (days.size < policy.days || dayOf(at) >= oldestDay) why.push(`of ${newest(policy.days, "day")}`);
  if (!newestProven || newestProven.at <= at) why.push("no newer one is proven");
  return why.map(reason => `found bad by a drill, but ${reason}`);
}

function whyBadGoes({ proven }: JudgedBackup, { newestProven }: Shelf): string {
  return `found bad by the drill of ${proven?.at.slice(0, 10)}; ${newestProven?.name} is newer, and proven`;
}

/** What keeps a backup, good or bad: what only it holds, a pin, a copy that is still to be made, or a manifest that another file needs. */
function whyHeld(
  { name, at, pin, manifest, lacksCopyIn }: JudgedBackup,
  { good, fuller, names }: Shelf,
): string[] {
  const why: string[] = [];
  if (fuller?.name === name && !isOver(at + FULLER_DAYS * DAY_MS, good))
    why.push(`holds what the newest one has lost, kept for ${FULLER_DAYS} days`);
  if (pin && (pin.until === null || !isOver(new Date(pin.until).getTime(), good)))
    why.push(pin.until === null ? "pinned" : `pinned until ${pin.until}`);
  if (manifest && BEFORE_CHANGE.includes(manifest.reason)) {
    if (!isOver(at + BEFORE_CHANGE_DAYS * DAY_MS, good))
      why.push(`taken ${manifest.reason.replace("-", " a ")}, kept for ${BEFORE_CHANGE_DAYS} days`);
  }
  for (const place of lacksCopyIn) why.push(`not in ${place} yet`);
  const sharing = names.find(other => other !== name && stemOf(other) === stemOf(name));
  if (sharing) why.push(`${sharing} needs its manifest`);
  return why;
}

/** Good backups of two later days show it. One alone may be of a wrong clock that is right again at its next look. */
function isOver(until: number, good: readonly JudgedBackup[]): boolean {
  return new Set(good.filter(({ at }) => at > until).map(({ at }) => dayOf(at))).size >= 2;
}

function stemOf(name: string): string {
  return name.replace(/\..*$/, "");
}

function newest(count: number, unit: string): string {
  return count === 1 ? `the newest ${unit}` : `the newest ${count} ${unit}s`;
}
