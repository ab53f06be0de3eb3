import type { KeptBackup } from "../../../agent/catalogue/judged-backup.ts";
import type { RetentionPolicy } from "../../../shared/retention-policy.ts";

// The rules of docs/retention.md, sentence by sentence, to compare agent/retention/retention.ts with. Nothing of that file is used.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const digits = (name: string) => name.replace(/\D/g, "");
/** Each name is asked for thousands of times, so its value is computed once. */
const byName = (of: (name: string) => number) => {
  const known = new Map<string, number>();
  return ({ name }: KeptBackup) => {
    const value = known.get(name) ?? of(name);
    known.set(name, value);
    return value;
  };
};
const time = byName(name => {
  const d = digits(name);
  const part = (from: number, to: number) => Number(d.slice(from, to));
  return Date.UTC(part(0, 4), part(4, 6) - 1, part(6, 8), part(8, 10), part(10, 12), part(12, 14));
});
const day = (backup: KeptBackup) => Math.floor(time(backup) / DAY);
/** 1970 began on a Thursday. */
const week = (backup: KeptBackup) => Math.floor((day(backup) + 3) / 7);
const month = byName(name => Number(digits(name).slice(0, 6)));
const stem = ({ name }: KeptBackup) => name.slice(0, "budgie_20260101_000000".length);

const belongs = (backup: KeptBackup) =>
  backup.flaw === null &&
  backup.manifest !== null &&
  backup.manifest.file === backup.name &&
  Math.abs(Date.parse(backup.manifest.startedAt) - time(backup)) <= HOUR;
const drill = (backup: KeptBackup) => backup.proven?.outcome;

/** The names that the written rules keep. */
export function keptByTheRules(backups: readonly KeptBackup[], policy: RetentionPolicy, now: Date): string[] {
  if (backups.some(backup => time(backup) > now.getTime() + HOUR)) return names(backups);
  const good = backups.filter(backup => belongs(backup) && drill(backup) !== "bad");
  const loadable = good.filter(backup => drill(backup) !== "unloadable");
  const provenAfter = (backup: KeptBackup) =>
    good.some(other => drill(other) === "good" && time(other) > time(backup));
  const later = (among: KeptBackup[], of: (backup: KeptBackup) => number, than: number) =>
    new Set(among.map(of).filter(value => value > than)).size;
  const standsFor = (
    among: KeptBackup[],
    of: (backup: KeptBackup) => number,
    count: number,
    backup: KeptBackup,
  ) => {
    const rivals = among.filter(other => of(other) === of(backup) && other !== backup);
    const better = (a: KeptBackup, b: KeptBackup) =>
      (drill(a) === "good") === (drill(b) === "good") ? time(a) < time(b) : drill(a) === "good";
    return later(among, of, of(backup)) < count && !rivals.some(rival => better(rival, backup));
  };
  const hasPlace = (among: KeptBackup[], backup: KeptBackup) =>
    later(among, day, day(backup)) < policy.days ||
    later(among, time, time(backup)) < policy.atLeast ||
    standsFor(among, week, policy.weeks, backup) ||
    standsFor(among, month, policy.months, backup);
  const dayIsPast = (until: number) => new Set(good.filter(other => time(other) > until).map(day)).size >= 2;

  return names(
    backups.filter(backup => {
      if (!belongs(backup)) return true;
      if (backup.lacksCopyIn.length > 0) return true;
      if (backups.some(other => other !== backup && stem(other) === stem(backup))) return true;
      const { pin, manifest } = backup;
      if (pin && (pin.until === null || !dayIsPast(Date.parse(pin.until)))) return true;
      if (manifest?.reason.startsWith("before-") && !dayIsPast(time(backup) + 30 * DAY)) return true;
      if (drill(backup) === "bad") return later(good, day, day(backup)) < policy.days || !provenAfter(backup);
      if (drill(backup) === "good" && !provenAfter(backup)) return true;
      return hasPlace(good, backup) || (loadable.includes(backup) && hasPlace(loadable, backup));
    }),
  );
}

function names(backups: readonly KeptBackup[]): string[] {
  return backups.map(({ name }) => name).sort();
}
