import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Load, USUAL } from "./model.ts";
import { pricePlot, timesPlot } from "./plot.ts";
import { RATES, type RecoveryRates, readRates } from "./rates.ts";
import { adviceTable, jobsTable, priceTable, recoveryTable, timesTable } from "./tables.ts";

const docs = (name: string) => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
const PAGE = docs("scaling.md");

/** Gigabytes. Each writes a tenth of its size a day. */
const SIZES = [0.01, 1, 100, 1000, 10_000];
const LOADS: Load[] = SIZES.map(gigabytes => ({ ...USUAL, gigabytes, walGigabytesPerDay: gigabytes / 10 }));
const WANTED_SECONDS = 4 * 3600;

export const WAYS: { name: string; load: Partial<Load> }[] = [
  { name: "90 + 30 days, without point in time", load: { walGigabytesPerDay: 0 } },
  { name: "90 + 30 days, with point in time", load: {} },
  {
    name: "30 + 7 days, without point in time",
    load: { walGigabytesPerDay: 0, keepDays: 30, noncurrentDays: 7 },
  },
  {
    name: "90 + 30 days, GLACIER_IR after 14",
    load: { walGigabytesPerDay: 0, colder: { class: "GLACIER_IR", afterDays: 14 } },
  },
];

/** The files that show the model, by path. */
export function scalingFiles(): Record<string, string> {
  const rates = readRates();
  const measured = JSON.parse(readFileSync(RATES, "utf8")) as RecoveryRates;
  const parts: Record<string, string> = {
    times: timesTable(rates, LOADS),
    recovery: recoveryTable(rates, LOADS),
    jobs: jobsTable(measured.jobs, measured.cores),
    advice: adviceTable(rates, USUAL, WANTED_SECONDS),
    price: priceTable(rates, LOADS, WAYS),
  };
  let page = readFileSync(PAGE, "utf8");
  for (const [name, table] of Object.entries(parts)) page = withPart(page, name, table);
  return {
    [PAGE]: page,
    [docs("scaling-times.svg")]: timesPlot(rates, USUAL),
    [docs("scaling-price.svg")]: pricePlot(rates, USUAL, WAYS),
  };
}

function withPart(page: string, name: string, table: string): string {
  const [begin, end] = [`<!-- ${name}: written by npm run scaling -- --page -->`, `<!-- end of ${name} -->`];
  const [before, rest] = page.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`${PAGE} lacks ${begin} or ${end}`);
  return `${before}${begin}\n${table}\n${end}${after}`;
}
