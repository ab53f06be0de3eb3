import { shownMoment } from "../base/shown-moment.ts";
import { damagedNames, type Looks, missingSegments, soundPart } from "./at-rest.ts";
import { joinRanges, recoverables } from "./recoverable.ts";
import type { ChainContent } from "./wal-chain.ts";

const DAY_MS = 24 * 3_600_000;

interface Range {
  from: number;
  until: number;
}

/**
 * What is to be said of the damaged files, with what each of them costs and what helps. A problem for a day, in which somebody should
 * see it, and then a note for as long as the file stays.
 */
export function judgeAtRest(
  contents: readonly ChainContent[],
  looks: Looks,
  { folder, bucket, now }: { folder: string; bucket: boolean; now: Date },
): { problems: string[]; notes: string[] } {
  const judged: { problems: string[]; notes: string[] } = { problems: [], notes: [] };
  for (const name of damagedNames(looks)) {
    const { why, since } = looks[name] ?? {};
    const isNew = now.getTime() - Date.parse(since ?? "") < DAY_MS;
    const said = `${folder}/${name} ${why}. ${costOf(contents, looks, name)} ${wayOut(bucket)}`;
    (isNew ? judged.problems : judged.notes).push(said);
  }
  return judged;
}

/** What it alone costs; where others cover for it, what all of them cost together. */
function costOf(contents: readonly ChainContent[], looks: Looks, name: string): string {
  const whole = contents.map(withMissing);
  const rangesWithout = (known: Looks) =>
    joinRanges(recoverables(whole.map(content => soundPart(content, known))));
  const all = rangesWithout({});
  const look = looks[name];
  const alone = difference(all, rangesWithout(look ? { [name]: look } : {}));
  const lost = alone.length > 0 ? alone : difference(all, rangesWithout(looks));
  if (lost.length === 0) return "What is beside it leads to the same moments, so none is lost.";
  return lost
    .map(
      ({ from, until }) =>
        `No moment between ${shownMoment(from)} and ${shownMoment(until)} can be gone back to from here.`,
    )
    .join(" ");
}

/** As it would be if no segment were missing. Such a one has the name of a look at it. */
function withMissing(content: ChainContent): ChainContent {
  const missing = missingSegments(content).map(segment => ({
    file: segment,
    segment,
    coversUntil: Number.NEGATIVE_INFINITY,
    hash: "",
  }));
  return { ...content, sealed: [...content.sealed, ...missing] };
}

function wayOut(bucket: boolean): string {
  const begun =
    "A new base backup is taken by itself where none leads on from here; until then: npx budgie backup";
  return bucket
    ? `The bucket has a copy of its own: npx budgie restore --at MOMENT --from s3. ${begun}`
    : `If you have a copy of the file, put it back. ${begun}`;
}

/** What is in the first ranges and not in the second. Both are joined. */
export function difference(all: readonly Range[], some: readonly Range[]): Range[] {
  return all.flatMap(({ from, until }) => {
    const left: Range[] = [];
    let at = from;
    for (const other of some.filter(other => other.until >= from && other.from <= until)) {
      if (other.from > at) left.push({ from: at, until: other.from });
      at = Math.max(at, other.until);
    }
    if (at < until) left.push({ from: at, until });
    return left;
  });
}
