import { afterAll, describe, expect, it } from "vitest";
import { HOSTILE_FILES, type HostileFile } from "../../support/hostile/files.ts";
import { type Delivery, type HostilePlace, openHostilePlace } from "../../support/hostile/place.ts";

/** Every file in every compression, with and without a manifest, each checked by itself. */
const ALL = process.env.HOSTILE_FILES === "all";
/** Otherwise, how many are restored before anything is checked. Checking each by itself takes more than ten minutes. */
const TOGETHER = 6;
/** As many servers and agents as a small machine has cores. */
const PLACES = 2;
const TIMEOUT_MS = 300_000;

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) =>
    all.slice(at * size, (at + 1) * size),
  );
}

const every = (nth: number, from: number) =>
  ALL ? HOSTILE_FILES : HOSTILE_FILES.filter((_, at) => at % nth === from);

interface Way extends Delivery {
  how: string;
  files: readonly HostileFile[];
  together: number;
}

const again = ALL ? 1 : TOGETHER;
const WAYS: Way[] = [
  { how: "a plain file", compression: "plain", manifest: false, files: every(6, 0), together: again },
  {
    how: "a plain file with a forged manifest",
    compression: "plain",
    manifest: true,
    files: every(6, 2),
    together: again,
  },
  { how: "a gz file", compression: "gz", manifest: false, files: every(24, 1), together: again },
  {
    how: "a gz file with a forged manifest",
    compression: "gz",
    manifest: true,
    files: every(24, 5),
    together: again,
  },
  { how: "a zst file", compression: "zst", manifest: false, files: every(24, 9), together: again },
  {
    how: "a zst file with a forged manifest",
    compression: "zst",
    manifest: true,
    files: every(24, 15),
    together: again,
  },
];

describe("a stranger's file reaches nothing beyond the candidate", () => {
  const places: (HostilePlace | undefined)[] = [];

  afterAll(async () => {
    await Promise.all(places.map(place => place?.stop()));
  });

  const tryIn = async (at: number, files: readonly HostileFile[], delivery: Delivery) => {
    places[at] ??= await openHostilePlace();
    const { effects, said } = await places[at].restore(files, delivery);
    if (effects.length === 0) return [];
    // A place that was reached is not repaired: the next file gets another one.
    await places[at].stop();
    places[at] = undefined;
    return [...effects, said];
  };

  describe.each(WAYS.map(way => [way.how, way] as const))(
    "as %s",
    (_how, { files, together, ...delivery }) => {
      const rounds = chunks(chunks(files, together), PLACES);
      const named = rounds.map(
        round =>
          [
            round
              .flat()
              .map(({ name }) => name)
              .join(" | "),
            round,
          ] as const,
      );

      it.each(named)(
        "%s",
        async (names, round) => {
          const effects = await Promise.all(round.map((group, at) => tryIn(at, group, delivery)));
          // With the names, because equal errors of several files are shown once.
          expect(effects.flat(), names).toEqual([]);
        },
        TIMEOUT_MS,
      );
    },
  );
});
