import type { Level } from "../../shared/status-lines.ts";
import type { Seen } from "./look.ts";

const OUTCOME: Record<Level, [word: string, code: number]> = {
  OK: ["OK", 0],
  WARN: ["WARNING", 1],
  FAIL: ["CRITICAL", 2],
  unknown: ["UNKNOWN", 3],
};

/** As monitoring plugins speak: one line and its figures, then more lines; and the exit code. */
export function nagiosText(seen: Seen | Error): { text: string; code: number } {
  if (seen instanceof Error) return { text: `BUDGIE UNKNOWN - ${oneLine(seen.message)}\n`, code: 3 };
  const { level, sentence } = seen.verdict;
  const [word, code] = OUTCOME[level];
  const figures = perfdata(seen.json);
  const first = `BUDGIE ${word} - ${oneLine(sentence)}${figures && ` | ${figures}`}`;
  const more = seen.lines
    .filter(line => line.level !== "OK")
    .flatMap(line =>
      [...line.problems, ...line.notes].map(text => `${line.level} ${line.what}: ${oneLine(text)}`),
    );
  return { text: `${[first, ...more].join("\n")}\n`, code };
}

/** What is not known is left out. */
function perfdata(json: Record<string, unknown>): string {
  const at = (...path: string[]) =>
    path.reduce<unknown>((value, name) => (value as Record<string, unknown> | null)?.[name], json);
  const age = (value: unknown) =>
    typeof value === "string" ? Math.max(0, Math.round((Date.now() - Date.parse(value)) / 1000)) : undefined;
  const figures: [name: string, value: unknown, unit: string][] = [
    ["backup_age", age(at("backups", "newest", "finishedAt")), "s"],
    ["proof_age", age(at("backups", "newestProven", "provenAt")), "s"],
    ["recovery_point_age", age(at("recovery", "pointAt")), "s"],
    ["recovery_time", at("recovery", "seconds"), "s"],
    ["backup_size", at("backups", "newest", "bytes"), "B"],
    ["database_size", at("database", "bytes"), "B"],
    ["disk_free", at("backups", "freeBytes"), "B"],
    ["copies_missing", at("offsite", "missing"), ""],
  ];
  return figures
    .filter(([, value]) => typeof value === "number")
    .map(([name, value, unit]) => `${name}=${value}${unit}`)
    .join(" ");
}

/** A bar would begin the figures. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").replaceAll("|", "/");
}
