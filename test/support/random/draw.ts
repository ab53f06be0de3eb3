import fc from "fast-check";

/** Random choices, drawn from fast-check one after the other. The same seed gives the same ones. */
export interface Draw {
  int(min: number, max: number): number;
  /** True with about this probability. */
  chance(of: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** Each of them with about this probability, shuffled. */
  some<T>(from: readonly T[], of: number): T[];
  /** Any text that PostgreSQL can hold, often one that looks like something else. */
  text(): string;
  /** A unique name, as written in SQL; often one that must be quoted. */
  name(): string;
}

/** Texts that a careless reader of SQL or of a dump misreads. */
const ODD = [
  "",
  " ",
  "\\.",
  "\\N",
  "\\",
  "\n",
  "\n\\.\n",
  "\r\n",
  "\t",
  "'",
  '"',
  "$$",
  "$_$",
  "--",
  "/*",
  ";",
  "\n\\c postgres\n",
  "\\restrict x",
  "COPY x FROM stdin;",
  "\n-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: -\n\nCOPY public.x (a) FROM stdin;\n1\n\\.\n",
  "-- PostgreSQL database dump complete",
  "é€😀",
  "NULL",
  "{}",
  "a,b",
] as const;

const text = fc.oneof(
  fc.constantFrom(...ODD),
  fc
    .tuple(fc.string({ maxLength: 9 }), fc.constantFrom(...ODD), fc.string({ maxLength: 9 }))
    .map(parts => parts.join("")),
  fc.string({ maxLength: 40 }),
  // No lone surrogates, which UTF-8 cannot encode, and no zero byte, which PostgreSQL cannot hold.
  fc.string({ unit: "grapheme", maxLength: 20 }).map(value => value.replaceAll("\0", "")),
);

/** Runs `make` with choices that depend on the seed alone. */
export function drawn<T>(seed: number, make: (draw: Draw) => T): T {
  const arbitrary = fc.gen().map(gen => {
    let names = 0;
    // Unbiased: fast-check prefers small and extreme numbers, which would make every choice the same.
    const int = (min: number, max: number) => gen(fc.noBias<number>, fc.integer({ min, max }));
    const draw: Draw = {
      int,
      chance: of => int(0, 999) < of * 1000,
      pick: from => {
        const picked = from[int(0, from.length - 1)];
        if (picked === undefined) throw new Error("there is nothing to pick from");
        return picked;
      },
      some: (from, of) =>
        gen(fc.shuffledSubarray<never>, from.filter(() => draw.chance(of)) as never[], { minLength: 0 }),
      text: () => gen(() => text),
      name: () => {
        names += 1;
        // Names end after 63 bytes.
        const start = draw.chance(0.6)
          ? draw.pick(["a", "table", "select", "order", "x_y", "Name"])
          : [...draw.text()].slice(0, 10).join("");
        return `"${start.replaceAll('"', '""')}${names}"`;
      },
    };
    return make(draw);
  });
  return fc.sample(arbitrary, { seed, numRuns: 1 })[0] as T;
}
