import { type CopiesFrom, listCommand } from "../../shared/copies-places.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";
import { shownAge } from "../base/shown-age.ts";
import { shownMinute } from "../base/shown-moment.ts";
import { timeInName } from "../manifest/backup-time.ts";
import { isForeignOnly } from "../manifest/flaw.ts";
import { type Manifest, totalRows } from "../manifest/manifest.ts";
import { TIME_TOLERANCE_MS } from "./judged-backup.ts";

/** A backup that `latest` could mean, as its own stack judges it. */
export interface Candidate {
  name: string;
  manifest: Manifest | null;
  /** Why it does not count, whichever stack asks; null when it does. */
  flaw: string | null;
}

export type Good<T> = T & { manifest: Manifest };

/** What `latest` is, and what an operator should know before it is restored. */
export interface Latest<T extends Candidate> {
  chosen: Good<T>;
  /** Newer ones of the same stack that do not count, newest first. */
  passedOver: { name: string; why: string }[];
  /** Newer ones of a database that is not this stack's: never the latest, and no reason to ask. */
  strangers: { name: string; rows: number }[];
  /** A backup of another server or stack with more than twice the rows of any backup of this database. */
  fuller: Good<T> | null;
}

/** How an operator asks for it. */
export interface LatestQuestion {
  /** This stack. */
  stack: string;
  /** The stack whose newest is wanted instead of this one's own. */
  fromStack: string | null;
  from: CopiesFrom | null;
  /** Where they lie, as messages name it. */
  place: string;
  now: Date;
}

/**
 * The newest backup that counts. Newer ones that do not count come with it. So does a fuller one, for the case that the data was
 * lost or moved, and a new database has been backed up since. Throws a Stop when none counts.
 * @param candidates newest first
 */
export function chooseLatest<T extends Candidate>(
  candidates: readonly T[],
  question: LatestQuestion,
): Latest<T> {
  const wanted = question.fromStack ?? question.stack;
  const judged = candidates.map(candidate => ({ candidate, why: whyNot(candidate, question.now) }));
  const good = judged.filter(({ why }) => why === null).map(({ candidate }) => candidate as Good<T>);
  const chosen = good.find(({ manifest }) => manifest.stack === wanted);
  const newer = chosen ? judged.slice(0, candidates.indexOf(chosen)) : judged;
  const passedOver = newer
    .filter(({ candidate, why }) => why !== null && isOf(wanted, candidate) && !isStranger(candidate))
    .map(({ candidate, why }) => ({ name: candidate.name, why: why as string }));
  // They may come from another machine. They are never chosen unasked, but named where they hold more than what is chosen.
  const unsigned = candidates.filter(
    ({ flaw, manifest }) => manifest !== null && isForeignOnly(flaw),
  ) as Good<T>[];
  if (!chosen) throw noneCounts(passedOver, good[0] ?? unsigned[0], question);
  const strangers = newer
    .filter(({ candidate }) => isOf(wanted, candidate) && isStranger(candidate))
    .map(({ candidate: { name, manifest } }) => ({ name, rows: rowsOf({ manifest }) }));
  const rivals = [...good, ...unsigned].filter(
    ({ manifest }) => question.fromStack === null || manifest.stack === wanted,
  );
  return { chosen, passedOver, strangers, fuller: fullerThan(chosen, rivals) };
}

/** The lines that say what was chosen, how old it is, and what was passed over. */
export function describeLatest(
  { chosen, passedOver, strangers }: Latest<Candidate>,
  { now }: LatestQuestion,
): { chosen: string; passedOver: string[] } {
  const { tables, startedAt } = chosen.manifest;
  const at = shownMinute(new Date(startedAt));
  return {
    chosen: `latest is ${chosen.name}, of ${ageOf(chosen, now)} ago (${at}). Tables: ${tables.length}, rows: ${totalRows(tables)}`,
    passedOver: [
      ...passedOver.map(({ name, why }) => `Passed over, although it is newer: ${name} (${why})`),
      ...strangers.map(
        ({ name, rows }) => `Passed over, because it is of another database: ${name} (rows: ${rows})`,
      ),
    ],
  };
}

/** The Stop that asks for a decision; null where there is nothing to decide. */
export function decisionNeeded(latest: Latest<Candidate>, question: LatestQuestion): Stop | null {
  const { chosen, passedOver, fuller } = latest;
  if (passedOver.length === 0 && !fuller) return null;
  const said: string[] = [];
  const ways: string[] = [];
  if (fuller) {
    const whose =
      fuller.manifest.stack === chosen.manifest.stack
        ? "of another server"
        : `of stack ${fuller.manifest.stack}`;
    said.push(
      `${fuller.name}, ${whose} and of ${ageOf(fuller, question.now)} ago, holds ${rowsOf(fuller)} rows; the newest of this database, ${chosen.name}, holds ${rowsOf(chosen)}.`,
    );
    ways.push(`To restore the fuller one: ${commandLine(fuller.name, question, fuller.manifest.stack)}.`);
  }
  if (passedOver.length > 0) {
    const newer = passedOver.map(({ name, why }) => `${name} (${why})`).join(", ");
    said.push(
      `The newest backup that counts, ${chosen.name}, is of ${ageOf(chosen, question.now)} ago, and newer ones do not count: ${newer}.`,
    );
  }
  ways.push(
    `To restore ${chosen.name} all the same: ${commandLine("latest", question, question.fromStack ?? question.stack)} --allow-older.`,
  );
  return new Stop(EXIT.notConfirmed, said.join(" "), ways.join(" "));
}

export function ageOf({ manifest }: { manifest: Manifest }, now: Date): string {
  return shownAge(now.getTime() - Date.parse(manifest.startedAt));
}

/** Why a backup cannot be chosen; null when it can. A clock that was wrong does not tell what is newest. */
function whyNot({ name, manifest, flaw }: Candidate, now: Date): string | null {
  const at = timeInName(name);
  const started = manifest ? Date.parse(manifest.startedAt) : null;
  const latest = Math.max(at ?? 0, started ?? 0);
  if (latest > now.getTime() + TIME_TOLERANCE_MS)
    return `from the future: it says that it was taken at ${shownMinute(new Date(latest))}`;
  if (flaw !== null) return flaw;
  if (!manifest) return "no manifest";
  if (manifest.identity === "unexpected") return "of another database";
  if (at !== null && started !== null && Math.abs(started - at) > TIME_TOLERANCE_MS)
    return `its manifest says that it was taken at ${manifest.startedAt}`;
  return null;
}

/** A backup without a manifest may be any stack's. */
function isOf(stack: string, { manifest }: Candidate): boolean {
  return manifest === null || manifest.stack === stack;
}

function isStranger({ manifest }: Candidate): boolean {
  return manifest?.identity === "unexpected";
}

/**
 * The empty database of a new server may have been backed up since the data was lost or moved. It is another matter when a
 * database once held as much and shrank: one of its own backups shows that.
 */
function fullerThan<T extends Candidate>(chosen: Good<T>, good: readonly Good<T>[]): Good<T> | null {
  const isOwn = ({ manifest }: Good<T>) =>
    manifest.stack === chosen.manifest.stack &&
    manifest.systemIdentifier === chosen.manifest.systemIdentifier;
  const most = Math.max(...good.filter(isOwn).map(rowsOf));
  return good.find(other => !isOwn(other) && rowsOf(other) > 2 * most) ?? null;
}

function rowsOf({ manifest }: Pick<Candidate, "manifest">): number {
  return totalRows(manifest?.tables ?? []);
}

function noneCounts(
  passedOver: readonly { name: string; why: string }[],
  other: Good<Candidate> | undefined,
  question: LatestQuestion,
): Stop {
  const { fromStack, stack, place } = question;
  const flawed = passedOver.map(({ name, why }) => `${name} (${why})`).join(", ");
  return refuse(
    `There is no backup of stack ${fromStack ?? stack} in ${place}${flawed ? ` that counts: ${flawed}` : ""}`,
    other?.manifest?.stack === (fromStack ?? stack)
      ? `If it is the one you want, say so by its name: ${commandLine(other.name, question, stack)}`
      : other
        ? `There is one of stack ${other.manifest.stack}: ${commandLine("latest", question, other.manifest.stack)}`
        : `Take one with \`npx budgie backup\`, or name a file; \`${listCommand(question.from)}\` shows what there is.`,
  );
}

function commandLine(which: string, { stack, from }: LatestQuestion, ofStack: string): string {
  const words = ["npx budgie restore", which];
  if (from) words.push("--from", from);
  if (ofStack !== stack) words.push("--from-stack", ofStack);
  return words.join(" ");
}
