import { parseRecord, recordText } from "../../../agent/base/json-record.ts";
import type { KeptBackup, Proof } from "../../../agent/catalogue/judged-backup.ts";
import { decideRetention } from "../../../agent/retention/retention.ts";
import {
  memoryFrom,
  nextRun,
  type Run,
  type RunMemory,
  remembersFailed,
  remembersServed,
  runMemory,
} from "../../../agent/schedule/next-run.ts";
import type { RetentionPolicy } from "../../../shared/retention-policy.ts";
import { readSchedule, type Schedule } from "../../../shared/schedule.ts";
import { takenAt } from "./taken-at.ts";

/** From the first moment up to the last, which is excluded; milliseconds since 1970. */
export type Span = readonly [from: number, to: number];

/** What happens to a machine in about a month. All times are true times. */
export interface Month {
  span: Span;
  expression: string;
  timeZone: string;
  off: readonly Span[];
  /** Runs fail during these. */
  databaseDown: readonly Span[];
  /** Copies wait until these are over. */
  storeDown: readonly Span[];
  /** When the newest backup is drilled, if the machine is on. */
  drills: readonly { at: number; outcome: Proof["outcome"] }[];
  /** When backups are taken before a change. */
  gates: readonly number[];
  /** When, and by how much, the machine's clock is wrong. */
  wrongClock: readonly { span: Span; by: number }[];
}

export interface Lived {
  /** Every backup there ever was, as it stands at the end. */
  taken: KeptBackup[];
  left: KeptBackup[];
  /** In the order in which they were served. */
  served: Date[];
}

/** Judges each step; throws what it finds wrong. */
export interface Witness {
  served(run: Run, next: Run, now: Date): void;
  pruned(before: KeptBackup[], after: KeptBackup[], now: Date): void;
}

/** The first moment from `at` on that is in none of the spans. */
export function firstOutside(spans: readonly Span[], at: number): number {
  const around = spans.find(([from, to]) => from <= at && at < to);
  return around ? firstOutside(spans, around[1]) : at;
}

/** Lives through the month as the agent's loop would, without waiting. */
export function live(month: Month, policy: RetentionPolicy, witness: Witness): Lived {
  const schedule = scheduleOf(month);
  const jitter = { ms: 0, key: "dev" };
  const events = eventsOf(month);
  const taken = new Map<string, { backup: KeptBackup; copied: number }>();
  const served: Date[] = [];
  let shelf: string[] = [];
  let memory: RunMemory = { served: null, failedAt: null };
  let time = month.span[0];

  const clock = () => new Date(time + (month.wrongClock.find(({ span }) => inside(span, time))?.by ?? 0));
  const onShelf = () => shelf.map(name => withCopies(taken.get(name), time));
  const take = (reason: "scheduled" | "before-change") => {
    const at = clock();
    while (taken.has(takenAt(at).name)) at.setSeconds(at.getSeconds() + 1);
    const backup = takenAt(at, {}, reason);
    taken.set(backup.name, {
      backup,
      copied: firstOutside([...month.storeDown, ...month.off], time + 60_000),
    });
    shelf.push(backup.name);
  };
  const prune = () => {
    const before = onShelf();
    const verdicts = decideRetention(before, policy, clock());
    shelf = verdicts.filter(({ keep }) => keep).map(({ name }) => name);
    witness.pruned(before, onShelf(), clock());
  };
  const happens = (what: Event) => {
    if (what.kind === "gate") take("before-change");
    const newest = taken.get(shelf.at(-1) ?? "");
    if (what.kind === "drill" && newest)
      newest.backup.proven = { at: new Date(time).toISOString(), outcome: what.outcome };
  };

  while (time < month.span[1]) {
    const on = firstOutside(month.off, time);
    if (on > time) {
      while (events.at(0) && (events[0] as Event).at < on) events.shift();
      memory = memoryFrom(parseRecord(runMemory, recordText(memory)));
      time = on;
      continue;
    }
    while (events.at(0) && (events[0] as Event).at <= time) happens(events.shift() as Event);
    const run = nextRun(schedule, memory, jitter, clock());
    if (run.at > clock()) {
      const wake = time + (run.at.getTime() - clock().getTime());
      time = Math.min(wake, events.at(0)?.at ?? wake, nextEdge(month, time), month.span[1]);
    } else if (firstOutside(month.databaseDown, time) > time) {
      memory = remembersFailed(memory, clock());
    } else {
      take("scheduled");
      served.push(run.due);
      memory = remembersServed(run);
      witness.served(run, nextRun(schedule, memory, jitter, clock()), clock());
      prune();
    }
  }
  // Every copy has arrived by then.
  time = Math.max(time, ...[...taken.values()].map(({ copied }) => copied));
  prune();
  return { taken: [...taken.values()].map(one => withCopies(one, time)), left: onShelf(), served };
}

/** Many months share a schedule and ask for the same due times. Each is computed once, because that takes longer than the rest. */
const schedules = new Map<string, Schedule>();

function scheduleOf({ expression, timeZone }: Month): Schedule {
  const key = `${expression} ${timeZone}`;
  const known = schedules.get(key) ?? rememberingSchedule(readSchedule(expression, timeZone));
  schedules.set(key, known);
  return known;
}

function rememberingSchedule({ after, upTo }: Schedule): Schedule {
  return { after: remembering(after), upTo: remembering(upTo) };
}

function remembering(dueTime: (instant: Date) => Date): (instant: Date) => Date {
  const known = new Map<number, number>();
  return instant => {
    const due = known.get(instant.getTime()) ?? dueTime(instant).getTime();
    known.set(instant.getTime(), due);
    return new Date(due);
  };
}

interface Event {
  at: number;
  kind: "gate" | "drill";
  outcome: Proof["outcome"];
}

function eventsOf({ gates, drills }: Month): Event[] {
  return [
    ...gates.map(at => ({ at, kind: "gate" as const, outcome: "unknown" as const })),
    ...drills.map(one => ({ ...one, kind: "drill" as const })),
  ].sort((a, b) => a.at - b.at);
}

/** When the machine is switched off next, or its clock is set. */
function nextEdge({ off, wrongClock, span }: Month, time: number): number {
  const edges = [...off.map(([from]) => from), ...wrongClock.flatMap(wrong => wrong.span)];
  return Math.min(span[1], ...edges.filter(edge => edge > time));
}

function inside([from, to]: Span, time: number): boolean {
  return from <= time && time < to;
}

function withCopies(one: { backup: KeptBackup; copied: number } | undefined, time: number): KeptBackup {
  if (!one) throw new Error("a backup was kept that was never taken");
  return { ...one.backup, lacksCopyIn: one.copied <= time ? [] : ["aws/budgie"] };
}
