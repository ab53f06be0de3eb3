import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ChainVerdict, decideChains, type KeptChain } from "../../agent/chain-retention.ts";
import { joinRanges, recoverables } from "../../agent/recoverable.ts";
import type { ChainContent } from "../../agent/wal-chain.ts";
import { base, chainOf, DAY, MINUTE, START, segment } from "../support/wal-chain.ts";

const DAYS = 7;

function kept(
  content: ChainContent,
  unsent: Partial<Pick<KeptChain, "unsentBases" | "firstUnsentSegment">> = {},
): KeptChain {
  const reaches = content.sealed.at(-1)?.coversUntil ?? null;
  return { content, reaches, unsentBases: new Set(), firstUnsentSegment: null, ...unsent };
}

/** What is left after acting on the verdicts. */
function acted(chains: readonly KeptChain[], verdicts: readonly ChainVerdict[]): KeptChain[] {
  return chains.flatMap((chain, index) => {
    const verdict = verdicts[index];
    if (!verdict || verdict.whole) return [];
    const { content } = chain;
    return [
      {
        ...chain,
        content: {
          ...content,
          bases: content.bases.filter(({ name }) => verdict.bases.find(other => other.name === name)?.keep),
          sealed: content.sealed.filter(
            ({ segment }) => verdict.keepFrom !== null && segment >= verdict.keepFrom,
          ),
        },
      },
    ];
  });
}

const HOURLY = 60;
/** A history of chains, one after the other, an hour to a segment, with base backups at some of their hours. */
const histories = fc
  .array(
    fc.record({
      hours: fc.integer({ min: 2, max: 600 }),
      pauseHours: fc.integer({ min: 1, max: 100 }),
      baseAt: fc.uniqueArray(fc.integer({ min: 0, max: 500 }), { maxLength: 5 }),
      unsentBase: fc.boolean(),
      unsentFrom: fc.option(fc.integer({ min: 0, max: 600 })),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map(chains => {
    let startedAt = START;
    return chains.map(({ hours, pauseHours, baseAt, unsentBase, unsentFrom }) => {
      const begin = startedAt;
      const hourOf = (hour: number) => begin + hour * HOURLY * MINUTE;
      const bases = baseAt
        .filter(hour => hour < hours)
        .sort((a, b) => a - b)
        .map(hour => base(hour, hourOf(hour)));
      const content = chainOf({
        startedAt: begin,
        bases,
        sealed: Array.from({ length: hours }, (_, hour) => hour),
      });
      content.sealed = content.sealed.map((sealed, hour) => ({ ...sealed, coversUntil: hourOf(hour + 1) }));
      startedAt = hourOf(hours + pauseHours);
      return kept(content, {
        unsentBases: new Set(unsentBase ? bases.slice(0, 1).map(({ name }) => name) : []),
        firstUnsentSegment: unsentFrom !== null && unsentFrom < hours ? segment(unsentFrom) : null,
      });
    });
  });
const nowOf = (chains: readonly KeptChain[]) => new Date((chains.at(-1)?.reaches ?? START) + MINUTE);

describe("which base backups and which WAL stay", () => {
  it("a base backup goes, and the WAL before the next one with it, once that one is older than the kept days", () => {
    const content = chainOf({
      bases: [base(0, START), base(10, START + 7 * DAY), base(20, START + 14 * DAY)],
      sealed: Array.from({ length: 30 }, (_, number) => number),
    });
    const at = (days: number) => ({ ...kept(content), reaches: START + days * DAY });
    const [before] = decideChains([at(13.9)], DAYS, new Date(START + 14 * DAY));
    expect(before?.bases.map(({ keep }) => keep)).toEqual([true, true, true]);
    expect(before?.keepFrom).toBe(segment(0));
    const [after] = decideChains([at(14)], DAYS, new Date(START + 14 * DAY));
    expect(after?.bases.map(({ keep }) => keep)).toEqual([false, true, true]);
    expect(after?.keepFrom).toBe(segment(10));
  });

  it("whatever happened: the kept days stay recoverable, the newest base backup too, and nothing unsent goes", () => {
    fc.assert(
      fc.property(histories, chains => {
        const verdicts = decideChains(chains, DAYS, nowOf(chains));
        const left = acted(chains, verdicts);
        const reaches = chains.at(-1)?.reaches ?? 0;
        const windowed = (of: readonly KeptChain[]) =>
          joinRanges(recoverables(of.map(({ content }) => content)))
            .map(({ from, until }) => ({ from: Math.max(from, reaches - DAYS * DAY), until }))
            .filter(({ from, until }) => until >= from);
        expect(windowed(left)).toEqual(windowed(chains));

        const bases = (of: readonly KeptChain[]) => of.flatMap(({ content }) => content.bases);
        if ((chains.at(-1)?.content.bases.length ?? 0) > 0)
          expect(bases(left).at(-1)).toEqual(bases(chains).at(-1));

        for (const chain of chains) {
          const same = left.find(({ content }) => content.chain.name === chain.content.chain.name);
          for (const name of chain.unsentBases)
            expect(
              same?.content.bases.some(other => other.name === name),
              `unsent base ${name}`,
            ).toBe(true);
          const { firstUnsentSegment } = chain;
          if (firstUnsentSegment !== null)
            expect(same?.content.sealed.filter(({ segment }) => segment >= firstUnsentSegment)).toEqual(
              chain.content.sealed.filter(({ segment }) => segment >= firstUnsentSegment),
            );
        }
      }),
    );
  });

  it("every base backup that stays keeps all its WAL", () => {
    fc.assert(
      fc.property(histories, chains => {
        const left = acted(chains, decideChains(chains, DAYS, nowOf(chains)));
        const before = recoverables(chains.map(({ content }) => content));
        for (const { base, until } of recoverables(left.map(({ content }) => content)))
          expect(until).toBe(before.find(other => other.base === base)?.until);
      }),
    );
  });

  it("what one run leaves the next one leaves too", () => {
    fc.assert(
      fc.property(histories, chains => {
        const left = acted(chains, decideChains(chains, DAYS, nowOf(chains)));
        expect(acted(left, decideChains(left, DAYS, nowOf(chains)))).toEqual(left);
      }),
    );
  });

  it("time alone removes nothing, and nothing goes while the clock is wrong", () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 0, max: 1000 }), (chains, days) => {
        const now = nowOf(chains);
        expect(decideChains(chains, DAYS, new Date(now.getTime() + days * DAY))).toEqual(
          decideChains(chains, DAYS, now),
        );
        const early = new Date((chains.at(-1)?.reaches ?? 0) - DAY);
        expect(acted(chains, decideChains(chains, DAYS, early))).toEqual(chains);
      }),
    );
  });

  it("another database's chain is left alone", () => {
    const other = chainOf({ systemIdentifier: "2", bases: [base(0, START)], sealed: [0, 1] });
    const own = chainOf({
      startedAt: START + DAY,
      bases: [base(0, START + DAY), base(1, START + 20 * DAY)],
      sealed: [0, 1],
    });
    const chains = [kept(other), { ...kept(own), reaches: START + 40 * DAY }];
    const [first, second] = decideChains(chains, DAYS, new Date(START + 40 * DAY));
    expect(first?.bases).toMatchObject([
      { keep: true, reason: expect.stringContaining("of another database") },
    ]);
    expect(first?.keepFrom).toBe(segment(0));
    expect(second?.bases.map(({ keep }) => keep)).toEqual([false, true]);
  });
});
