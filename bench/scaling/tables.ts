import {
  advise,
  type Durations,
  durations,
  type Load,
  recoveries,
  speedup,
  storagePrice,
  stored,
} from "./model.ts";
import type { JobsRate, Rates } from "./rates.ts";

/** All as Markdown tables, which a terminal shows as well. */

const WORK: [keyof Durations, string][] = [
  ["backup", "backup"],
  ["drill", "drill"],
  ["restore", "restore, new machine"],
  ["baseBackup", "base backup"],
  ["replay", "replay of a week's WAL"],
  ["fetch", "fetching a backup from the bucket"],
];

export function timesTable(rates: Rates, loads: readonly Load[]): string {
  return table(
    ["what", ...loads.map(({ gigabytes }) => shownSize(gigabytes))],
    WORK.map(([key, name]) => [name, ...loads.map(load => shownTime(durations(rates, load)[key]))]),
  );
}

export function recoveryTable(rates: Rates, loads: readonly Load[]): string {
  const shapes = loads.map(load => recoveries(rates, load));
  return table(
    [
      "shape",
      "lost with the machine, at most",
      ...loads.map(({ gigabytes }) => `back after, ${shownSize(gigabytes)}`),
    ],
    (shapes[0] ?? []).map(({ shape, point }, at) => [
      shape,
      point === null ? "what it lags behind" : point === 0 ? "nothing" : shownTime(point),
      ...shapes.map(all => shownTime(all[at]?.time ?? 0)),
    ]),
  );
}

export function priceTable(
  rates: Rates,
  loads: readonly Load[],
  ways: readonly { name: string; load: Partial<Load> }[],
): string {
  return table(
    ["kept in the bucket", ...loads.map(({ gigabytes }) => shownSize(gigabytes))],
    ways.map(({ name, load: differs }) => [
      name,
      ...loads.map(load => {
        const { standard, colder, wal } = stored(rates, { ...load, ...differs });
        return `$${money(storagePrice(rates, { ...load, ...differs }))} (${shownSize(standard + colder + wal)})`;
      }),
    ]),
  );
}

/** Measured times of one job over those of several, and beside them what the cores and the largest table allow. */
export function jobsTable(measured: readonly JobsRate[], cores: number): string {
  const one = (shape: string) => measured.find(rate => rate.shape === shape && rate.jobs === 1);
  return table(
    ["tables", "jobs", "pg_dump, s", "times as fast", "pg_restore, s", "times as fast", "possible"],
    measured.map(({ shape, jobs, dumpSeconds, restoreSeconds }) => [
      shape,
      String(jobs),
      dumpSeconds.toFixed(1),
      ((one(shape)?.dumpSeconds ?? 0) / dumpSeconds).toFixed(2),
      restoreSeconds.toFixed(1),
      ((one(shape)?.restoreSeconds ?? 0) / restoreSeconds).toFixed(2),
      speedup(jobs, cores, shape === "one big table" ? 1 : 0).toFixed(2),
    ]),
  );
}

export function adviceTable(rates: Rates, load: Omit<Load, "gigabytes">, wantedSeconds: number): string {
  return table(
    ["from", "what then"],
    advise(rates, load, wantedSeconds).map(({ from, advice }) => [shownSize(from), advice]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, ...[head, ...rows].map(row => (row[column] ?? cell).length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(head), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

export function shownSize(gigabytes: number): string {
  if (gigabytes < 1) return `${two(gigabytes * 1000)} MB`;
  return gigabytes < 1000 ? `${two(gigabytes)} GB` : `${two(gigabytes / 1000)} TB`;
}

export function shownTime(seconds: number): string {
  if (seconds === 0) return "0";
  if (seconds < 120) return `${two(seconds)} s`;
  if (seconds < 7200) return `${two(seconds / 60)} min`;
  return seconds < 172_800 ? `${two(seconds / 3600)} h` : `${two(seconds / 86_400)} days`;
}

/** A model has no more than two digits. */
function two(value: number): string {
  return String(Number(value.toPrecision(2)));
}

function money(dollars: number): string {
  return dollars < 1 ? dollars.toFixed(2) : two(dollars);
}
