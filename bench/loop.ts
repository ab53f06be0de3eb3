import { availableParallelism, loadavg } from "node:os";
import { median } from "./median.ts";
import { type Cost, emptyProgram, type Program, wholeStack } from "./no-change-up.ts";

/**
 * What a `pulumi up` of the whole dev stack that changes nothing costs beside one of the empty program of Pulumi's TypeScript
 * template, with the same engine and the same language host, in paired runs; and the same with no cache of the programs' code, as
 * after a clone.
 */
const PAIRS = Number(process.env.BENCH_PAIRS ?? 11);
const FIRST_PAIRS = Number(process.env.BENCH_FIRST_PAIRS ?? 3);

interface Pair {
  empty: Cost;
  stack: Cost;
}

const [empty, stack] = [await emptyProgram(), await wholeStack()];
try {
  for (const program of [empty, stack]) await program.up();
  const again = await pairs(PAIRS, program => program.up());
  const first = await pairs(FIRST_PAIRS, async program => {
    await program.forget();
    return program.up();
  });
  const load = loadavg().map(average => average.toFixed(0));
  console.log(`${availableParallelism()} cores, load ${load.join(", ")}, Node ${process.versions.node}`);
  show(`nothing changed, medians of ${PAIRS} pairs`, again);
  show(`the same with nothing kept, medians of ${FIRST_PAIRS}`, first);
} finally {
  await empty.remove();
  await stack.remove();
}

/** Whoever goes second finds the files in memory, so they take turns. */
async function pairs(count: number, run: (program: Program) => Promise<Cost>): Promise<Pair[]> {
  const found: Pair[] = [];
  for (let index = 0; index < count; index++) {
    const first = await run(index % 2 === 0 ? empty : stack);
    const second = await run(index % 2 === 0 ? stack : empty);
    const pair = index % 2 === 0 ? { empty: first, stack: second } : { empty: second, stack: first };
    console.log(`pair ${index + 1}: empty ${pair.empty.seconds} s, stack ${pair.stack.seconds} s`);
    found.push(pair);
  }
  return found;
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
