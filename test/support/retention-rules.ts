import type { KeptBackup } from "../../agent/judged-backup.ts";
import type { RetentionPolicy } from "../../agent/retention.ts";

// docs/retention.md once more, sentence by sentence, for comparison with agent/retention.ts: nothing of that is used here.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const digits = (name: string) => name.replace(/\D/g, "");
const time = ({ name }: KeptBackup) => {
  const d = digits(name);
  const part = (from: number, to: number) => Number(d.slice(from, to));
  return Date.UTC(part(0, 4), part(4, 6) - 1, part(6, 8), part(8, 10), part(10, 12), part(12, 14));
};
const day = (backup: KeptBackup) => Math.floor(time(backup) / DAY);
/** 1970 began on a Thursday. */
const week = (backup: KeptBackup) => Math.floor((day(backup) + 3) / 7);
const month = (backup: KeptBackup) => Number(digits(backup.name).slice(0, 6));
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
  const provenAfter = (backup: KeptBackup) =>
    good.some(other => drill(other) === "good" && time(other) > time(backup));
  const later = (of: (backup: KeptBackup) => number, than: number) =>
    new Set(good.map(of).filter(value => value > than)).size;
  const standsFor = (of: (backup: KeptBackup) => number, count: number, backup: KeptBackup) => {
    const rivals = good.filter(other => of(other) === of(backup) && other !== backup);
    const better = (a: KeptBackup, b: KeptBackup) =>
      (drill(a) === "good") === (drill(b) === "good") ? time(a) < time(b) : drill(a) === "good";
    return later(of, of(backup)) < count && !rivals.some(rival => better(rival, backup));
  };
  const dayIsPast = (until: number) => new Set(good.filter(other => time(other) > until).map(day)).size >= 2;

  return names(
    backups.filter(backup => {
      if (!belongs(backup)) return true;
      if (backup.lacksCopyIn.length > 0) return true;
      if (backups.some(other => other !== backup && stem(other) === stem(backup))) return true;
      const { pin, manifest } = backup;
      if (pin && (pin.until === null || !dayIsPast(Date.parse(pin.until)))) return true;
      if (manifest?.reason.startsWith("before-") && !dayIsPast(time(backup) + 30 * DAY)) return true;
      if (later(day, day(backup)) < policy.days) return true;
      if (drill(backup) === "bad") return !provenAfter(backup);
      return (
        later(time, time(backup)) < policy.atLeast ||
        (drill(backup) === "good" && !provenAfter(backup)) ||
        standsFor(week, policy.weeks, backup) ||
        standsFor(month, policy.months, backup)
      );
    }),
  );
}

function names(backups: readonly KeptBackup[]): string[] {
  return backups.map(({ name }) => name).sort();
}
