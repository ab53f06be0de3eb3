import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { type Cost, emptyProgram, type Program, wholeStack } from "./no-change-up.ts";

/**
 * What a `pulumi up` of the whole dev stack that changes nothing costs beside one of the empty program of Pulumi's TypeScript
 * template, with the same engine and the same language host, in paired runs; and the same with no cache of the programs' code, as
 * after a clone.
 */
const PAIRS = Number(process.env.BENCH_PAIRS ?? 15);
const FIRST_PAIRS = Number(process.env.BENCH_FIRST_PAIRS ?? 5);

interface Pair {
  empty: Cost;
  stack: Cost;
}

const [empty, stack] = [await emptyProgram(), await wholeStack()];
try {
  const caches = await newFolder();
  for (const program of [empty, stack]) await program.up(caches);
  const again: Pair[] = [];
  while (again.length < PAIRS) again.push(await pair(again.length, () => Promise.resolve(caches)));
  await rm(caches, { recursive: true });
  const first: Pair[] = [];
  while (first.length < FIRST_PAIRS) first.push(await pair(first.length, newFolder, remove));
  const load = loadavg()[0]?.toFixed(1);
  console.log(
    `${availableParallelism()} cores, load ${load}, Node ${process.versions.node}; medians of ${PAIRS} and ${FIRST_PAIRS} pairs:`,
  );
  show("no change", again);
  show("no change, nothing cached", first);
} finally {
  await empty.remove();
  await stack.remove();
}

/** Whoever goes second finds the files in memory, so they take turns. */
async function pair(
  index: number,
  cachesFor: () => Promise<string>,
  done: (caches: string) => Promise<void> = async () => undefined,
): Promise<Pair> {
  const cost = async (program: Program) => {
    const caches = await cachesFor();
    const cost = await program.up(caches);
    await done(caches);
    return cost;
  };
  const costs: Partial<Pair> = {};
  const turns = index % 2 === 0 ? (["empty", "stack"] as const) : (["stack", "empty"] as const);
  for (const turn of turns) costs[turn] = await cost(turn === "empty" ? empty : stack);
  return costs as Pair;
}

function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "budgie-bench-caches-"));
}

function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true });
}

function show(what: string, pairs: readonly Pair[]): void {
  console.log(`  ${what}`);
  for (const measure of ["seconds", "cpuSeconds"] as const) {
    const [ofEmpty, ofStack] = [
      median(pairs.map(p => p.empty[measure])),
      median(pairs.map(p => p.stack[measure])),
    ];
    const ratio = median(pairs.map(p => p.stack[measure] / p.empty[measure]));
    const name = measure === "seconds" ? "wall" : "processor";
    console.log(
      `    ${name.padEnd(9)}  empty ${ofEmpty.toFixed(2)} s, stack ${ofStack.toFixed(2)} s, ratio ${ratio.toFixed(2)}`,
    );
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
