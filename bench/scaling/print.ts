// npm run scaling -- SIZE: what a database of that size costs in time and storage, computed from what was measured here.

import { writeFile } from "node:fs/promises";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { type Load, USUAL } from "./model.ts";
import { scalingFiles, WAYS } from "./page.ts";
import { readRates } from "./rates.ts";
import { COLDER, type ColderClass } from "./storage-price.ts";
import { adviceTable, priceTable, recoveryTable, shownSize, timesTable } from "./tables.ts";

const SIZES: Record<string, number> = { MB: 0.001, GB: 1, TB: 1000 };
const TIMES: Record<string, number> = { s: 1, min: 60, h: 3600, d: 86_400 };

const parsed =
  (units: Record<string, number>, example: string) =>
  (text: string): number => {
    const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?) *([A-Za-z]+)$/.exec(text) ?? [];
    const factor = units[unit];
    if (factor === undefined)
      throw new InvalidArgumentError(
        `Write a number and ${Object.keys(units).join(", ")}, as in ${example}.`,
      );
    return Number(digits) * factor;
  };
const size = parsed(SIZES, "200GB");
const positive = (text: string): number => {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("Write a number above 0.");
  return value;
};
const days = (text: string): number => {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError("Write whole days.");
  return Number(text);
};

interface Options {
  wal?: number;
  speed: number;
  network: number;
  keep: number;
  noncurrent: number;
  colder?: ColderClass;
  after: number;
  within: number;
  page?: true;
}

const command = new Command("npm run scaling --")
  .description(
    "What a database costs in time and storage, computed from what was measured (docs/scaling.md).",
  )
  .addArgument(new Argument("[size]", "of a plain dump, as in 200GB").argParser(size))
  .option("--wal <size>", "that it writes a day; a tenth of its size when not said", size)
  .option("--speed <factor>", "how much faster a core is than on the measured machine", positive, USUAL.speed)
  .option("--network <MB/s>", "from the bucket", positive, USUAL.networkMegabytesPerSecond)
  .option("--keep <days>", "budgie:offsiteKeepDays", days, USUAL.keepDays)
  .option("--noncurrent <days>", "budgie:offsiteNoncurrentDays", days, USUAL.noncurrentDays)
  .addOption(new Option("--colder <class>", "budgie:offsiteTransitionClass").choices(Object.keys(COLDER)))
  .option("--after <days>", "budgie:offsiteTransitionDays", days, 30)
  .option("--within <time>", "how soon the data must serve again, as in 4h", parsed(TIMES, "4h"), 4 * 3600)
  .option("--page", "renew docs/scaling.md and its plots")
  .parse();

const options = command.opts<Options>();
const gigabytes = command.processedArgs[0] as number | undefined;

if (options.page) {
  for (const [path, content] of Object.entries(scalingFiles())) await writeFile(path, content);
  process.stdout.write("docs/scaling.md and its plots are renewed.\n");
} else if (gigabytes === undefined) {
  command.error("error: say how large the database is, as in: npm run scaling -- 200GB");
} else {
  print(gigabytes);
}

function print(gigabytes: number): void {
  const rates = readRates();
  const load: Load = {
    gigabytes,
    walGigabytesPerDay: options.wal ?? gigabytes / 10,
    speed: options.speed,
    networkMegabytesPerSecond: options.network,
    keepDays: options.keep,
    noncurrentDays: options.noncurrent,
    ...(options.colder ? { colder: { class: options.colder, afterDays: options.after } } : {}),
  };
  const own = {
    name: `${options.keep} + ${options.noncurrent} days${options.colder ? `, ${options.colder} after ${options.after}` : ""}`,
    load: {},
  };
  const parts = [
    `${shownSize(gigabytes)} of plain dump, ${shownSize(load.walGigabytesPerDay)} of WAL a day. Computed from what was measured on ${rates.cores} cores on ${rates.at}; expect a factor of two.`,
    timesTable(rates, [load]),
    recoveryTable(rates, [load]),
    priceTable(rates, [load], [own, ...WAYS]),
    adviceTable(rates, load, options.within),
  ];
  process.stdout.write(`${parts.join("\n\n")}\n`);
}
