import { createHash } from "node:crypto";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Verdict } from "../../shared/status-lines.ts";
import { humanSize } from "../base/reporter.ts";
import { shownMinute } from "../base/shown-moment.ts";
import { seconds } from "../status/shown-seconds.ts";
import type { Status } from "../status/status.ts";
import type { ShownBackup } from "./shown-backups.ts";

/** What shows somebody else that backups work. Everything in it was measured or read; null is what nobody measured. */
export interface Evidence {
  stack: string;
  at: string;
  verdict: Verdict;
  problems: string[];
  database: { name: string; systemIdentifier: string; bytes: number } | null;
  newestBackup: { name: string; finishedAt: string; bytes: number } | null;
  /** The newest backup that was restored into a server and found the same, row by row. */
  newestProven: { name: string; takenAt: string; provenAt: string; rows: number | null } | null;
  proofsInNinetyDays: number;
  backups: { count: number; oldest: string | null };
  recoverable: { from: string | null; until: string | null; gaps: number };
  recoveryTimeSeconds: number | null;
  copies: { place: string; missing: number; lastSent: string | null }[];
  /** The keys that open the copies, by a fingerprint of their public halves; empty where copies are not encrypted. */
  keys: { fingerprint: string }[];
  lastDrill: { at: string; outcome: string } | null;
  /** The last time that a moment was gone back to in a throw-away server, and compared with a backup. */
  pointInTimeDrill: { at: string; outcome: string; backup: string; indexesChecked: boolean } | null;
  lastRestore: { at: string; outcome: string } | null;
  versions: Status["versions"];
}

const NINETY_DAYS_MS = 90 * 24 * 3_600_000;

export function evidenceOf(
  { recipients }: Pick<AgentSettings, "recipients">,
  status: Status,
  backups: readonly ShownBackup[],
): Evidence {
  const { backups: known, pointInTime, recovery, offsite, offsiteSsh } = status;
  const proven = known.newestProven;
  const since = new Date(Date.parse(status.at) - NINETY_DAYS_MS).toISOString();
  const good = backups.filter(({ proof }) => proof !== "bad");
  const ended = (run: Status["lastRun"]) =>
    run && { at: run.finishedAt ?? run.startedAt, outcome: run.outcome };
  const sent = (place: string, copies: NonNullable<Status["offsite"] | Status["offsiteSsh"]>) => ({
    place,
    missing: copies.missing,
    lastSent: copies.lastAttempt?.doneAt ?? null,
  });
  return {
    stack: status.stack,
    at: status.at,
    verdict: status.verdict,
    problems: status.problems,
    database: status.database && {
      name: status.database.name,
      systemIdentifier: status.database.systemIdentifier,
      bytes: status.database.bytes,
    },
    newestBackup: known.newest && {
      name: known.newest.name,
      finishedAt: known.newest.finishedAt,
      bytes: known.newest.bytes,
    },
    newestProven: proven && {
      name: proven.name,
      takenAt: proven.startedAt,
      provenAt: proven.provenAt,
      rows: backups.find(({ name }) => name === proven.name)?.rows ?? null,
    },
    proofsInNinetyDays: backups.filter(({ provenAt }) => provenAt !== null && provenAt >= since).length,
    backups: { count: good.length, oldest: good.at(-1)?.at ?? null },
    recoverable: {
      from: pointInTime?.earliest ?? good.at(-1)?.at ?? null,
      until: recovery.pointAt,
      gaps: pointInTime?.gaps.length ?? 0,
    },
    recoveryTimeSeconds: recovery.seconds,
    copies: [
      ...(offsite ? [sent(offsite.store, offsite)] : []),
      ...(offsiteSsh ? [sent(offsiteSsh.target, offsiteSsh)] : []),
    ],
    keys: recipients.map(recipient => ({ fingerprint: fingerprint(recipient) })),
    lastDrill: ended(status.lastDrill),
    pointInTimeDrill: drilledAt(pointInTime?.drill ?? null),
    lastRestore: ended(status.lastRestore),
    versions: status.versions,
  };
}

function drilledAt(drill: NonNullable<Status["pointInTime"]>["drill"]): Evidence["pointInTimeDrill"] {
  if (drill === null) return null;
  const { at, outcome, backup, notChecked } = drill;
  return { at, outcome, backup, indexesChecked: notChecked === null };
}

/** `age-keygen -y key.txt | tr -d '\n' | sha256sum` shows the same of the private key. */
function fingerprint(recipient: string): string {
  return createHash("sha256").update(recipient).digest("hex").slice(0, 16);
}

function drillAtText(drill: Evidence["pointInTimeDrill"]): string {
  if (drill === null) return "none is known of";
  const pages = drill.indexesChecked ? "" : "; pages and indexes were not checked";
  return `${shownMinute(new Date(drill.at))}: ${drill.outcome}, compared with ${drill.backup}${pages}`;
}

/** One page, in Markdown. */
export function evidenceText(evidence: Evidence): string {
  const { stack, at, verdict, problems, database, newestBackup, newestProven, recoverable, versions } =
    evidence;
  const minute = (moment: string | null) => (moment === null ? "not known" : shownMinute(new Date(moment)));
  const run = (found: Evidence["lastDrill"]) =>
    found ? `${minute(found.at)}: ${found.outcome}` : "none is known of";
  const rows: [string, string][] = [
    [
      "database",
      database
        ? `${database.name}, ${humanSize(database.bytes)}, identity ${database.systemIdentifier}`
        : "not known",
    ],
    [
      "newest backup",
      newestBackup
        ? `${newestBackup.name}, ${minute(newestBackup.finishedAt)}, ${humanSize(newestBackup.bytes)}`
        : "none",
    ],
    [
      "newest proven backup",
      newestProven
        ? `${newestProven.name}, taken ${minute(newestProven.takenAt)}, restored and compared ${minute(newestProven.provenAt)}${newestProven.rows === null ? "" : ` (${newestProven.rows} rows)`}`
        : "none",
    ],
    ["backups proven in 90 days", String(evidence.proofsInNinetyDays)],
    ["backups that count", `${evidence.backups.count}, the oldest of ${minute(evidence.backups.oldest)}`],
    [
      "can be gone back to",
      `${minute(recoverable.from)} to ${minute(recoverable.until)}${recoverable.gaps > 0 ? `, gaps: ${recoverable.gaps}` : ""}`,
    ],
    [
      "measured time of a restore",
      evidence.recoveryTimeSeconds === null ? "not measured" : seconds(evidence.recoveryTimeSeconds),
    ],
    ...evidence.copies.map(({ place, missing, lastSent }): [string, string] => [
      `copies in ${place}`,
      `${missing === 0 ? "every backup" : `${missing} missing`}, last sent ${minute(lastSent)}`,
    ]),
    ...(evidence.copies.length === 0 ? [["copies elsewhere", "none"] as [string, string]] : []),
    [
      "keys that open the copies",
      evidence.keys.length === 0
        ? "none: copies are not encrypted"
        : evidence.keys.map(key => key.fingerprint).join(", "),
    ],
    ["last drill", run(evidence.lastDrill)],
    ["last drill of point in time", drillAtText(evidence.pointInTimeDrill)],
    ["last restore in earnest", run(evidence.lastRestore)],
    [
      "versions",
      `PostgreSQL ${versions.server ?? "not known"}, pg_dump ${versions.pgDump ?? "not known"}, Node ${versions.node}`,
    ],
  ];
  return [
    `# Backups of Budgie, stack ${stack}`,
    "",
    `As measured and read on ${minute(at)} by \`npx budgie evidence\`. ${verdict.sentence}.`,
    "",
    "| what | as found |",
    "| --- | --- |",
    ...rows.map(([what, found]) => `| ${what} | ${found.replaceAll("|", "\\|").replace(/\s+/g, " ")} |`),
    ...(problems.length > 0 ? ["", "## What is wrong", "", ...problems.map(problem => `- ${problem}`)] : []),
    "",
  ].join("\n");
}
