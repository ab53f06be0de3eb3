import type { AgentSettings } from "../../shared/agent-settings.ts";
import { inOrder, type LineId, type StatusLine, statusLine } from "../../shared/status-lines.ts";
import { humanSize } from "../base/reporter.ts";
import { shownAge } from "../base/shown-age.ts";
import { shownMinute, shownMoment } from "../base/shown-moment.ts";
import type { PointInTimeStatus } from "../point-in-time/status.ts";
import type { Facts } from "./facts.ts";
import { type Filing, filedUnder } from "./filing.ts";
import type { LastLook } from "./last-look.ts";
import { shownReplicas } from "./replicas.ts";
import { shownSlots } from "./server-figures.ts";
import { seconds } from "./shown-seconds.ts";

const NO_DATABASE = "the database does not answer";
const NO_DIRECTORY = "the backup directory cannot be read";

/** The agent's lines of the status, from what was found and what was filed under each. */
export function linesOf(
  settings: AgentSettings,
  facts: Facts,
  filing: Filing,
  { lastLook, told }: { lastLook: LastLook | null; told: string | null },
  now: Date,
): StatusLine[] {
  const line = (
    id: LineId,
    figure: string | null,
    more: { unasked?: string; next?: string; notes?: string[] } = {},
  ) => statusLine(id, { figure, ...filedUnder(filing, id), ...more });
  const { collectors: answered } = facts;
  const ofDirectory = (figure: () => string | null) => (answered.backups ? figure() : null);
  const directory = { unasked: NO_DIRECTORY };
  const other = filedUnder(filing, "other");
  return inOrder([
    line("database", databaseFigure(facts), { unasked: "it does not answer", next: "npx budgie logs db" }),
    line("disk", answered.disk ? diskFigure(facts) : null, { next: "npx budgie prune --dry-run" }),
    line(
      "backup",
      ofDirectory(() => backupFigure(facts, now)),
      { ...directory, next: "npx budgie backup" },
    ),
    line(
      "proven",
      ofDirectory(() => provenFigure(facts, now)),
      { ...directory, next: "npx budgie drill" },
    ),
    line(
      "catalogue",
      ofDirectory(() => catalogueFigure(facts)),
      { ...directory, next: "npx budgie list" },
    ),
    line(
      "recovery",
      ofDirectory(() => recoveryFigure(facts, now)),
      { ...directory, ...recoveryNotes(facts) },
    ),
    line("copies", answered.copies ? copiesFigure(facts) : null, { next: "npx budgie push" }),
    line("point-in-time", pointInTimeFigure(settings, facts, now), { next: "npx budgie logs backup" }),
    line("schedule", scheduleFigure(settings, facts), { next: "npx budgie logs backup" }),
    ...(settings.refresh === null
      ? []
      : [line("refresh", refreshFigure(facts, now), { next: "npx budgie logs backup" })]),
    ...(facts.server === null || facts.server.replicas.length === 0
      ? []
      : [line("replicas", shownReplicas(facts.server.replicas))]),
    line("slots", facts.server && shownSlots(facts.server.slots), { unasked: NO_DATABASE }),
    line("alerts", told, { next: "npx budgie alert --test" }),
    line("agent", lookFigure(lastLook, now), { next: "npx budgie logs backup" }),
    line("versions", versionsFigure(facts), { unasked: NO_DATABASE }),
    ...(other.problems.length + other.notes.length > 0
      ? [line("other", count(other.problems.length + other.notes.length, "more to know"))]
      : []),
  ]);
}

/** The rest of the sentence that all is well. */
export function allIsWell({ backups, recovery }: Facts, now: Date): string {
  const { newest, newestProven } = backups;
  if (newest === null) return "";
  const point = recovery.pointAt ?? newest.startedAt;
  const proof = newestProven
    ? `, and the last proof by a restore is ${age(newestProven.provenAt, now)} old`
    : "";
  return `the database can be brought back as it was ${age(point, now)} ago${proof}`;
}

function databaseFigure({ database, server }: Facts): string | null {
  if (database === null) return null;
  const { name, tables, bytes, systemIdentifier } = database;
  const own = [`${name}, ${count(tables, "table", "tables")}, ${humanSize(bytes)}`];
  if (server)
    own.push(
      `${server.connections} of ${server.maxConnections} connections`,
      `checksums ${server.checksums ? "on" : "off"}`,
    );
  return [...own, `identity ${systemIdentifier}`].join(", ");
}

function diskFigure({ backups: { directory, freeBytes } }: Facts): string {
  return `${humanSize(freeBytes)} free for ${directory}`;
}

function backupFigure({ backups: { newest } }: Facts, now: Date): string {
  if (newest === null) return "none";
  const { name, startedAt, finishedAt, bytes, reason } = newest;
  const took = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  return `${name}, ${age(finishedAt, now)} ago (${reason}), ${humanSize(bytes)} in ${seconds(took)}`;
}

function provenFigure({ backups: { newestProven } }: Facts, now: Date): string {
  if (newestProven === null) return "none";
  const took = newestProven.seconds === null ? "" : ` in ${seconds(newestProven.seconds)}`;
  return `${newestProven.name}, proven ${age(newestProven.provenAt, now)} ago${took}`;
}

function catalogueFigure({ backups, previousDatabases }: Facts): string {
  const kept =
    previousDatabases.length === 0 ? "" : `; kept from before a restore: ${previousDatabases.join(", ")}`;
  return `${backups.count} in ${backups.directory}${kept}`;
}

/** What is wrong is said of the backups. */
function recoveryNotes({ recovery }: Facts): { notes?: string[] } {
  return recovery.pointAt === null ? { notes: ["Nothing can be brought back until there is a backup."] } : {};
}

function recoveryFigure({ recovery }: Facts, now: Date): string {
  if (recovery.pointAt === null) return "none";
  const took =
    recovery.seconds === null
      ? "how long that takes is not measured yet"
      : `the last trial took ${seconds(recovery.seconds)}`;
  return `up to ${shownMinute(new Date(recovery.pointAt))} (${age(recovery.pointAt, now)} ago); ${took}`;
}

function copiesFigure({ offsite, offsiteSsh }: Facts): string {
  const places = [
    ...(offsite ? [[offsite.store, offsite.missing] as const] : []),
    ...(offsiteSsh ? [[offsiteSsh.target, offsiteSsh.missing] as const] : []),
  ];
  if (places.length === 0) return "none";
  return places
    .map(([place, missing]) => `${place} has ${missing === 0 ? "every backup" : `all but ${missing}`}`)
    .join("; ");
}

function pointInTimeFigure(settings: AgentSettings, { pointInTime }: Facts, now: Date): string | null {
  if (!settings.pointInTime) return "off (budgie:pointInTime)";
  return pointInTime && reach(pointInTime, now);
}

function reach(
  { earliest, latest, receiving, slotLagBytes, baseBackups, unsent, drill }: PointInTimeStatus,
  now: Date,
): string {
  const range =
    earliest && latest
      ? `every moment from ${shownMoment(Date.parse(earliest))} to ${shownMoment(Date.parse(latest))}`
      : "no moment yet";
  const lag = slotLagBytes === null ? "" : `, ${humanSize(slotLagBytes)} behind`;
  const sent = unsent && unsent.segments > 0 ? `, segments still to be sent: ${unsent.segments}` : "";
  const proof = drill?.outcome === "good" ? `, proven ${age(drill.at, now)} ago` : "";
  return `${range}; ${receiving ? `WAL is received${lag}` : "WAL is not received"}, base backups: ${baseBackups}${sent}${proof}`;
}

function scheduleFigure({ schedule }: AgentSettings, { next }: Facts): string | null {
  if (schedule === null) return "none";
  if (next === null) return null;
  const why = next.why === "due" ? "" : ` (${next.why})`;
  return `${schedule.expression} (${schedule.timeZone}), next backup ${shownMinute(new Date(next.at))}${why}`;
}

function refreshFigure({ refresh, lastRefresh }: Facts, now: Date): string | null {
  if (refresh === null) return null;
  const { from, source, next } = refresh;
  const when = next === null ? "by hand only" : `next ${shownMinute(new Date(next.at))}`;
  const last =
    lastRefresh?.outcome === "done" && lastRefresh.finishedAt
      ? `last done ${age(lastRefresh.finishedAt, now)} ago`
      : lastRefresh === null
        ? "none yet"
        : "the last one has not succeeded";
  return `from ${from} (${source}), ${when}, ${last}`;
}

function versionsFigure({ versions: { server, pgDump, node } }: Facts): string | null {
  if (server === null) return null;
  return `PostgreSQL ${server}${pgDump ? `, pg_dump ${pgDump}` : ""}, Node ${node}`;
}

/** Without a word of it the container has just started, or runs without its process. */
function lookFigure(look: LastLook | null, now: Date): string {
  return look === null ? "has not looked at itself yet" : `looked at itself ${age(look.at, now)} ago`;
}

function age(at: string, now: Date): string {
  return shownAge(now.getTime() - Date.parse(at));
}

function count(number: number, one: string, many = one): string {
  return `${number} ${number === 1 ? one : many}`;
}
