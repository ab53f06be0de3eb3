import { EXIT, Stop } from "./exit-codes.ts";

const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i;

/** A moment to go back to. */
export interface Moment {
  /** Milliseconds since 1970, cut off. */
  ms: number;
  /** As PostgreSQL reads it, to the microsecond, in UTC. */
  text: string;
}

/**
 * Reads `2026-11-22 14:03:00+01`. Throws a Stop for what is no such moment, and for one without its offset from UTC: guessing
 * that could bring back what should be gone, or lose what should be there, by hours.
 */
export function parseMoment(text: string): Moment {
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
  const whole = new Date(start - offsetMs(offset, text));
  return {
    ms: whole.getTime() + Number(micros.slice(0, 3)),
    text: `${whole.toISOString().slice(0, 19).replace("T", " ")}.${micros}+00`,
  };
}

function offsetMs(offset: string, text: string): number {
  if (offset.toUpperCase() === "Z") return 0;
  const [, sign, hours, minutes = "00"] = /^([+-])(\d\d):?(\d\d)?$/.exec(offset) ?? [];
  if (Number(hours) > 15 || Number(minutes) > 59)
    throw usage(`${JSON.stringify(text)} has an offset that no place on earth has.`);
  const ms = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === "-" ? -ms : ms;
}

function usage(what: string): Stop {
  return new Stop(EXIT.usage, what, 'For instance: npx budgie restore --at "2026-11-22 14:03:00+01"');
}
