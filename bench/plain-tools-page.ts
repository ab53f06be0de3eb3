import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Dataset } from "./plain-tools-data.ts";

export const RESULTS = fileURLToPath(new URL("./plain-tools.json", import.meta.url));
export const PAGE = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
export const PLOT = fileURLToPath(new URL("../docs/performance.svg", import.meta.url));

/** Medians of the pairs. */
export interface Result extends Dataset {
  name: string;
  /** YYYY-MM-DD. */
  at: string;
  plainSeconds: number;
  ownSeconds: number;
  pairs: number;
  /** The agent's own process. */
  peakMegabytes: number;
}

/** Budgie's time as a multiple of the plain tool's. */
export const ratio = ({ ownSeconds, plainSeconds }: Result) => ownSeconds / plainSeconds;

/** What was measured so far, by size, shape and name; empty before the first run. */
export async function readResults(): Promise<Result[]> {
  return JSON.parse(await readFile(RESULTS, "utf8").catch(() => "[]")) as Result[];
}

/** What was measured in the place of what there was of the same. */
export function withResults(known: readonly Result[], measured: readonly Result[]): Result[] {
  const same = (a: Result, b: Result) =>
    a.megabytes === b.megabytes && a.shape === b.shape && a.name === b.name;
  const renewed = known.map(result => measured.find(other => same(result, other)) ?? result);
  const added = measured.filter(result => !known.some(other => same(result, other)));
  return [...renewed, ...added].sort((a, b) => a.megabytes - b.megabytes || b.shape.localeCompare(a.shape));
}

const BEGIN = "<!-- plain tools: written by npm run bench plain-tools -->";
const END = "<!-- end of plain tools -->";

/** The page with these results' table in the place of the one before. */
export async function withTable(results: readonly Result[]): Promise<string> {
  const page = await readFile(PAGE, "utf8");
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${PAGE} lacks ${BEGIN} or ${END}`);
  return `${before}${BEGIN}\n${table(results)}\n${END}${after}`;
}

function table(results: readonly Result[]): string {
  return [
    "| dump | tables | what | plain, s | Budgie, s | ratio | agent's peak memory, MB | pairs | measured on |",
    "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ...results.map(
      result =>
        `| ${result.megabytes} MB | ${result.shape} | ${result.name} | ${result.plainSeconds.toFixed(2)} | ` +
        `${result.ownSeconds.toFixed(2)} | ${ratio(result).toFixed(2)} | ${result.peakMegabytes} | ${result.pairs} | ${result.at} |`,
    ),
  ].join("\n");
}
