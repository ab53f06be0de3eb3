import { EXIT, Stop } from "../../shared/exit-codes.ts";

const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i;

/** A moment to go back to. */
export interface Moment {
  /** Milliseconds since 1970, cut off. */
  ms: number;
  /** As PostgreSQL reads it, to the microsecond, in UTC. */
  text: string;
}

/** What was typed, with a moment in its place, for messages that say what to type. */
export type WithMoment = (moment: string) => string;

export const RESTORE: WithMoment = moment => `npx budgie restore --at "${moment}"`;
export const DRILL: WithMoment = moment => `npx budgie drill --at "${moment}"`;

/** Whether somebody means a moment where a backup's name could stand too. */
export function meansMoment(text: string): boolean {
  return /^\d{4}-\d\d-\d\d(?:[ T]|$)/.test(text.trim());
}

/**
 * Reads `2026-11-22 14:03:00+01`. Throws a Stop for anything else, and for a moment without its offset from UTC. A guess could be
 * wrong by hours, and so bring back what should be gone, or lose what should be there.
 */
export function parseMoment(text: string, command: WithMoment = RESTORE): Moment {
  const usage = (what: string) =>
    new Stop(EXIT.usage, what, `For instance: ${command("2026-11-22 14:03:00+01")}`);
  const [, year, month, day, hour, minute, second = "00", fraction = "", offset] =
    MOMENT.exec(text.trim()) ?? [];
  if (!year) throw usage(`${JSON.stringify(text)} is not a moment.`);
  if (!offset)
    throw usage(
      `${JSON.stringify(text)} does not say its offset from UTC, and budgie:timezone is not taken for it: an hour's mistake would lose an hour.`,
    );
  const seconds = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const start = Date.parse(`${seconds}Z`);
  // JavaScript would take the 31st of February for the 3rd of March.
  if (Number.isNaN(start) || new Date(start).toISOString().slice(0, 19) !== seconds)
    throw usage(`${JSON.stringify(text)} is not in the calendar.`);
  const micros = fraction.padEnd(6, "0");
  const shift = offsetMs(offset);
  if (shift === null) throw usage(`${JSON.stringify(text)} has an offset that no place on earth has.`);
  const whole = new Date(start - shift);
  return {
    ms: whole.getTime() + Number(micros.slice(0, 3)),
    text: `${whole.toISOString().slice(0, 19).replace("T", " ")}.${micros}+00`,
  };
}

/** Null where there is no such offset. */
function offsetMs(offset: string): number | null {
  if (offset.toUpperCase() === "Z") return 0;
  const [, sign, hours, minutes = "00"] = /^([+-])(\d\d):?(\d\d)?$/.exec(offset) ?? [];
  if (Number(hours) > 15 || Number(minutes) > 59) return null;
  const ms = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === "-" ? -ms : ms;
}
