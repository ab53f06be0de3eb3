import { Cron } from "croner";

/**
 * When backups are due. The expression means times on a wall clock, and every such time is due once:
 * - one that a clock change leaves out is due at the moment the clock goes on (02:30 in Berlin in March: at 03:00);
 * - one that comes twice is due the first time.
 * Only where every hour of the day is asked for (`0 * * * *`) is no time of day meant: runs keep their distance
 * through both clock changes.
 */
export interface Schedule {
  /** The first due time later than the instant. */
  after(instant: Date): Date;
  /** The last due time not later than the instant. */
  upTo(instant: Date): Date;
}

const EXAMPLE =
  'Right is for example "0 2 * * *", every night at two: minute, hour, day of month, month, day of week.';

/** Throws an Error with the sentence of `scheduleProblem` or `timeZoneProblem` for what these refuse. */
export function readSchedule(expression: string, timeZone: string): Schedule {
  const problem = scheduleProblem(expression) ?? timeZoneProblem(timeZone);
  if (problem !== null) throw new Error(problem);
  const times = cron(withListedTimes(expression), timeZone);
  const known = (due: Date | null | undefined, instant: Date) => {
    if (due) return due;
    throw new Error(`"${expression}" has no due time beside ${instant.toISOString()}.`);
  };
  return {
    after: instant => known(times.nextRun(instant), instant),
    // `previousRuns` leaves out the reference itself.
    upTo: instant => known(times.previousRuns(1, new Date(instant.getTime() + 1)).at(0), instant),
  };
}

/** What is wrong with a five-field cron expression, and what is right, as two sentences; null when it is usable. */
export function scheduleProblem(expression: string): string | null {
  const fields = fieldsOf(expression).length;
  if (fields !== 5) {
    return `"${expression}" has ${fields} ${fields === 1 ? "field" : "fields"} instead of five. ${EXAMPLE}`;
  }
  try {
    if (cron(expression, "UTC").nextRun(new Date("2000-01-01T00:00:00Z")) !== null) return null;
  } catch (error) {
    const detail = (error as Error).message.replace(/^Cron\w*: /, "").replace(/\.$/, "");
    return `"${expression}" is not a schedule: ${detail}. ${EXAMPLE}`;
  }
  return `"${expression}" never comes due: there is no such date. ${EXAMPLE}`;
}

/** What is wrong with the name of a time zone, and what is right, as two sentences; null when it is usable. */
export function timeZoneProblem(timeZone: string): string | null {
  const example = 'Right is for example "Europe/Berlin", or "UTC".';
  // Newer versions of Node take offsets as well, which know no clock changes.
  if (!/^[a-z]/i.test(timeZone)) return `"${timeZone}" is not the name of a time zone. ${example}`;
  // A format takes forty milliseconds to make, which every command would wait for. The list has no other names of the same zone.
  if (timeZone === "UTC" || Intl.supportedValuesOf("timeZone").includes(timeZone)) return null;
  try {
    new Intl.DateTimeFormat("en", { timeZone });
    return null;
  } catch {
    return `"${timeZone}" is a time zone that nobody knows. ${example}`;
  }
}

function fieldsOf(expression: string): string[] {
  return expression.split(/\s+/).filter(field => field !== "");
}

function cron(expression: string, timezone: string): Cron {
  return new Cron(expression, { timezone, paused: true, mode: "5-part", fixedTimeRule: "no-wildcard" });
}

// Croner keeps what is promised above for fixed times alone: for expressions without a wildcard and a step among their
// minutes and hours. So `*/30 2 * * *` is read as `0,30 2 * * *`. Otherwise there would be no backup at all in the night
// when the clock goes on from two to three.
function withListedTimes(expression: string): string {
  const [minute, hour, ...days] = fieldsOf(expression);
  const everyDay = cron(`${minute} ${hour} * * *`, "UTC");
  const minutes = new Set<number>();
  const hours = new Set<number>();
  let time = everyDay.nextRun(new Date("1999-12-31T23:59:59Z"));
  for (; time?.getUTCDate() === 1; time = everyDay.nextRun(time)) {
    minutes.add(time.getUTCMinutes());
    hours.add(time.getUTCHours());
  }
  if (hours.size === 24) return expression;
  return [[...minutes].join(), [...hours].join(), ...days].join(" ");
}
