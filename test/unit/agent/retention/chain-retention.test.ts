import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { joinRanges, recoverables } from "../../../../agent/point-in-time/recoverable.ts";
import type { ChainContent } from "../../../../agent/point-in-time/wal-chain.ts";
import {
  type ChainVerdict,
  decideChains,
  type KeptChain,
} from "../../../../agent/retention/chain-retention.ts";
import { base, chainOf, DAY, MINUTE, START, segment } from "../../../support/retention/wal-chain.ts";

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

/** A chain with a segment a day. */
function daily(parts: Parameters<typeof chainOf>[0], days: number): ChainContent {
  const content = chainOf({ ...parts, sealed: Array.from({ length: days + 1 }, (_, day) => day) });
  const begin = parts.startedAt ?? START;
  content.sealed = content.sealed.map((sealed, day) => ({ ...sealed, coversUntil: begin + day * DAY }));
  return content;
}

const HOURLY = 60;
/** A history of successive chains. Each segment is an hour, and some hours have a base backup. */
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
    const bases = [base(0, START), base(7, START + 7 * DAY), base(14, START + 14 * DAY)];
    /** A segment each day, up to that one. */
    const upTo = (day: number) => kept(daily({ bases: bases.filter((_, week) => week * 7 <= day) }, day));
    const [before] = decideChains([upTo(14)], DAYS, new Date(START + 15 * DAY));
    expect(before?.bases.map(({ keep }) => keep)).toEqual([true, true, true]);
    expect(before?.keepFrom).toBe(segment(0));
    const [after] = decideChains([upTo(15)], DAYS, new Date(START + 15 * DAY));
    expect(after?.bases.map(({ keep }) => keep)).toEqual([false, true, true]);
    expect(after?.keepFrom).toBe(segment(7));
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
    const own = daily(
      { startedAt: START + DAY, bases: [base(0, START + DAY), base(19, START + 20 * DAY)] },
      39,
    );
    const chains = [kept(other), kept(own)];
    const [first, second] = decideChains(chains, DAYS, new Date(START + 40 * DAY));
    expect(first?.bases).toMatchObject([
      { keep: true, reason: expect.stringContaining("of another database") },
    ]);
    expect(first?.keepFrom).toBe(segment(0));
    expect(second?.bases.map(({ keep }) => keep)).toEqual([false, true]);
  });

  describe("while the clock is ahead", () => {
    const bases = [base(0, START), base(7, START + 7 * DAY)];
    const jumped = (days: number, more: (at: number) => Partial<ChainContent> = () => ({})) => {
      const content = daily({ bases }, 8);
      const at = START + (8 + days) * DAY;
      const [last] = content.sealed.slice(-1);
      if (last) content.sealed.push({ ...last, segment: segment(9), coversUntil: at });
      return kept({ ...content, ...more(at) });
    };
    const keeps = (chain: KeptChain) => {
      const [verdict] = decideChains([chain], DAYS, new Date((chain.reaches ?? 0) + MINUTE));
      return { bases: verdict?.bases.map(({ keep }) => keep), keepFrom: verdict?.keepFrom };
    };

    it.each([5, 30, 3000])("by %i days, nothing goes because of it", days => {
      expect(keeps(jumped(days))).toEqual({ bases: [true, true], keepFrom: segment(0) });
    });

    it("nor when it stays so for days, and a base backup is taken by it", () => {
      const stays = jumped(3000, at => ({
        bases: [...bases, base(9, at + DAY)],
        sealed: Array.from({ length: 14 }, (_, day) => ({
          ...chainOf({ sealed: [day] }).sealed[0],
          segment: segment(day),
          coversUntil: day < 9 ? START + day * DAY : at + (day - 9) * DAY,
        })) as ChainContent["sealed"],
      }));
      expect(keeps(stays)).toEqual({ bases: [true, true, true], keepFrom: segment(0) });
    });

    it("a machine that was off for a month has lost nothing either", () => {
      const old = kept(daily({ bases }, 8));
      const back = START + 40 * DAY;
      const fresh = kept(daily({ startedAt: back, bases: [base(0, back)] }, 2));
      const verdicts = decideChains([old, fresh], DAYS, new Date(back + 3 * DAY));
      expect(verdicts.flatMap(({ bases }) => bases.map(({ keep }) => keep))).toEqual([true, true, true]);
      const later = kept(daily({ startedAt: back, bases: [base(0, back)] }, 9));
      expect(decideChains([old, later], DAYS, new Date(back + 10 * DAY))[0]?.whole).toBe(true);
    });
  });

  it("nothing goes while the clock has gone back to before what was received", () => {
    const old = kept(daily({ bases: [base(0, START), base(7, START + 7 * DAY)] }, 16));
    const early = START - 300 * DAY;
    const content = daily({ startedAt: START + 17 * DAY, bases: [base(0, early)] }, 0);
    content.sealed = content.sealed.map(sealed => ({ ...sealed, coversUntil: early + DAY }));
    const verdicts = decideChains([old, kept(content)], DAYS, new Date(early + 2 * DAY));
    expect(verdicts.flatMap(({ bases }) => bases.map(({ keep }) => keep))).toEqual([true, true, true]);
  });
});
