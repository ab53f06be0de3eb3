import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { backup } from "../backup/backup.ts";
import type { Reporter } from "../base/reporter.ts";
import { shownMoment } from "../base/shown-moment.ts";
import { type CatalogueEntry, isOnlyUnloadable, listBackups } from "../catalogue/catalogue.ts";
import { recordRun } from "../catalogue/last-run.ts";
import { type Manifest, totalRows } from "../manifest/manifest.ts";
import { type ChainSource, localChains } from "../point-in-time/chain-source.ts";
import { type PointInTimeDrill, savePointInTimeDrill } from "../point-in-time/drill-record.ts";
import { DRILL, type Moment, parseMoment } from "../point-in-time/moment.ts";
import { requireOwnVersion } from "../point-in-time/other-version.ts";
import { refuseMoment } from "../point-in-time/recover.ts";
import {
  followsBase,
  leadsToPosition,
  pickBase,
  type Recoverable,
  recoverables,
} from "../point-in-time/recoverable.ts";
import { targetOfPosition, withRecoveredServer } from "../point-in-time/recovery-server.ts";
import { type ThrowawayPlace, withThrowawayPlace } from "../throwaway/place.ts";
import type { ThrowawayServer } from "../throwaway/server.ts";
import { BadBackup, heldAgainstIt } from "./bad-backup.ts";
import { checkRelations, type DamagedRelation } from "./check-relations.ts";
import { compareRecovered } from "./compare-recovered.ts";

/** How long the WAL of a backup that was taken just now may take until it is here. */
const RECEIVED_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 500;
const FRESH_MS = 10 * 60_000;
const SHOWN_DIFFERENCES = 5;

/** A backup, and the base backup whose WAL leads to its very state. */
interface Chosen {
  name: string;
  manifest: Manifest;
  position: NonNullable<Manifest["walPosition"]>;
  recoverable: Recoverable;
}

type Verdict = Pick<PointInTimeDrill, "outcome" | "why" | "next" | "notChecked"> & { notes: string[] };

export interface DrilledAt extends PointInTimeDrill {
  tables: number;
  rows: number;
  notes: string[];
}

/**
 * Proves that the database can be brought back to a moment: recovers a base backup and its WAL, in a throw-away server, to the state in
 * which a backup was taken, has every page and index checked, and compares the rest with that backup. Records the verdict. `at`: the
 * backup is the newest one from before; null: from now, and one is taken where none will do.
 *
 * The chains are only read. Throws a Stop when there is no verdict: then what was known stays.
 */
export function drillAt(settings: AgentSettings, at: string | null, report: Reporter): Promise<DrilledAt> {
  const moment = at === null ? null : parseMoment(at, DRILL);
  const startedAt = new Date();
  const source = localChains(settings);
  return withThrowawayPlace(
    "drill-at",
    `drill of point in time since ${startedAt.toISOString()}`,
    async place => {
      // A refusal here is no drill, so the record of how the last one ended stays as it was.
      const chosen = moment
        ? await chooseBefore(settings, source, moment)
        : await chooseNewest(settings, source, report);
      await requireOwnVersion(chosen.recoverable);
      return recordRun(settings, "moment", "drill of point in time", async () => {
        const verdict = await prove(settings, place, source, chosen, report);
        const { name, manifest, recoverable } = chosen;
        const { notes, ...said } = verdict;
        const drill: PointInTimeDrill = {
          at: new Date().toISOString(),
          ...said,
          backup: name,
          base: recoverable.base.name,
          moment: manifest.startedAt,
          serverVersion: manifest.serverVersion,
          seconds: (Date.now() - startedAt.getTime()) / 1000,
        };
        await savePointInTimeDrill(settings, drill);
        const drilled = { ...drill, notes, tables: manifest.tables.length, rows: totalRows(manifest.tables) };
        say(drilled, report);
        return drilled;
      });
    },
  );
}

async function chooseBefore(settings: AgentSettings, source: ChainSource, moment: Moment): Promise<Chosen> {
  const all = recoverables(await source.list());
  if (pickBase(all, moment.ms) === null) refuseMoment(all, moment, source, DRILL);
  for (const entry of await comparable(settings)) {
    if (Date.parse(entry.manifest.startedAt) > moment.ms) continue;
    const recoverable = all.findLast(one => leads(one, entry));
    if (recoverable) return { ...entry, recoverable };
  }
  throw new Stop(
    EXIT.unusableBackup,
    `There is no backup from before ${shownMoment(moment.ms)} to compare with: none that was taken with point in time, and to whose state the WAL in ${source.shown} leads.`,
    "Prove the newest moment instead: npx budgie drill --at",
  );
}

function requireSwitchedOn({ pointInTime }: AgentSettings): void {
  if (pointInTime) return;
  throw new Stop(
    EXIT.usage,
    "Point in time is switched off, so there is no newest moment to go back to.",
    "Switch it on: npm run pulumi -- config set budgie:pointInTime true, then npm run pulumi -- up. Or name a moment from before it was switched off.",
  );
}

/** Of the newest base backup, so that each of them is proven. */
async function chooseNewest(settings: AgentSettings, source: ChainSource, report: Reporter): Promise<Chosen> {
  requireSwitchedOn(settings);
  const newest = recoverables(await source.list()).at(-1);
  if (!newest)
    throw new Stop(
      EXIT.unusableBackup,
      `There is no moment to go back to in ${source.shown}: no base backup there has its WAL.`,
      "`npx budgie status` says how it stands. The agent takes a base backup by itself.",
    );
  const backups = await comparable(settings);
  const [last] = backups;
  // The WAL of a backup that was taken a moment ago may still be on its way.
  if (last && isFresh(last) && follows(newest, last))
    return { ...last, recoverable: await untilReceived(source, last) };
  for (const entry of backups) if (leads(newest, entry)) return { ...entry, recoverable: newest };
  report.info("Taking a backup to compare with");
  const { file } = await backup(settings, { reason: "manual", format: settings.format }, report);
  const taken = (await comparable(settings)).find(({ name }) => name === file);
  if (!taken)
    throw new Stop(
      EXIT.failed,
      `Something was always being committed when ${file} was taken, so no recovery leads to its very state.`,
      "Run the same command again when the database is less busy.",
    );
  return { ...taken, recoverable: await untilReceived(source, taken) };
}

type Comparable = Pick<Chosen, "name" | "manifest" | "position">;

/** The backups of this database that have a place in its WAL, newest first. */
async function comparable(settings: AgentSettings): Promise<Comparable[]> {
  const usable = ({ flaw }: CatalogueEntry) => flaw === null;
  return (await listBackups(settings)).flatMap(entry => {
    const { name, manifest } = entry;
    const position = manifest?.walPosition;
    if (!manifest || !position || manifest.database !== settings.database) return [];
    return usable(entry) || isOnlyUnloadable(entry) ? [{ name, manifest, position }] : [];
  });
}

function isFresh({ manifest }: Comparable): boolean {
  const age = Date.now() - Date.parse(manifest.finishedAt);
  return age >= 0 && age < FRESH_MS;
}

function leads(recoverable: Recoverable, backup: Comparable): boolean {
  return follows(recoverable, backup) && leadsToPosition(recoverable, backup.position);
}

function follows({ base }: Recoverable, { manifest, position }: Comparable): boolean {
  return base.systemIdentifier === manifest.systemIdentifier && followsBase(base, position);
}

async function untilReceived(source: ChainSource, taken: Comparable): Promise<Recoverable> {
  for (const giveUpAt = Date.now() + RECEIVED_WITHIN_MS; ; await delay(LOOK_AGAIN_MS)) {
    const found = recoverables(await source.list()).findLast(one => leads(one, taken));
    if (found) return found;
    if (Date.now() > giveUpAt)
      throw new Stop(
        EXIT.failed,
        `The WAL up to ${taken.name} did not come within ${RECEIVED_WITHIN_MS / 1000} seconds.`,
        "`npx budgie status` says whether WAL is received. Then run the same command again.",
      );
  }
}

async function prove(
  settings: AgentSettings,
  place: ThrowawayPlace,
  source: ChainSource,
  chosen: Chosen,
  report: Reporter,
): Promise<Verdict> {
  const { recoverable, position, manifest } = chosen;
  const shown = shownMoment(Date.parse(manifest.startedAt));
  report.info(
    `Step 1/3: recovering ${settings.database} as it was at ${shown}, from the base backup ${recoverable.base.name} and up to ${recoverable.segments.length} segments of WAL`,
  );
  try {
    return await heldAgainstIt(() =>
      withRecoveredServer(settings, place, source, recoverable, targetOfPosition(position.lsn), server =>
        examine(settings, server, chosen, report),
      ),
    );
  } catch (error) {
    if (!(error instanceof BadBackup)) throw error;
    // A recovery that is given up speaks of the live database, which was never in question here.
    const why = error.message
      .replace(/^The recovery was given up: /, "")
      .replace(/\. The database is as it was$/, "");
    return bad(
      why,
      "What is damaged is found and told within a day, and a new base backup is taken by itself. Until then: npx budgie backup",
    );
  }
}

async function examine(
  settings: AgentSettings,
  server: ThrowawayServer,
  { name, manifest }: Chosen,
  report: Reporter,
): Promise<Verdict> {
  report.info("Step 2/3: checking every page and every index of it");
  const { damaged, notChecked } = await checkRelations(server, settings.database);
  if (damaged.length > 0) return { ...bad(describeDamage(damaged), adviceFor(damaged)), notChecked };
  if (notChecked !== null) report.warn(`Pages and indexes are not checked: ${notChecked}`);
  report.info(`Step 3/3: comparing every table and object with ${name}`);
  const path = join(settings.backupDir, name);
  const expected = { path, shown: `${settings.backupDirShown}/${name}`, manifest };
  const { differences, notes } = await compareRecovered(server, settings.database, expected);
  if (differences.length === 0) return { outcome: "good", why: null, next: null, notChecked, notes };
  return {
    ...bad(
      `what was recovered is not what ${name} recorded: ${firstOf(differences)}`,
      "Do not rely on point in time until a drill of it succeeds. Take a backup, and try once more: npx budgie drill --at",
    ),
    notChecked,
  };
}

function bad(why: string, next: string): Verdict {
  return { outcome: "bad", why, next, notChecked: null, notes: [] };
}

function describeDamage(damaged: readonly DamagedRelation[]): string {
  return firstOf(damaged.map(({ kind, name, why }) => `the ${kind} ${name} is damaged (${why})`));
}

/** An index can be built again from its table. A table cannot. */
function adviceFor(damaged: readonly DamagedRelation[]): string {
  if (damaged.every(({ kind }) => kind === "index"))
    return "The indexes of the live database are built anew by: npx budgie reindex. Then take a backup, and prove it: npx budgie backup; npx budgie drill --at";
  return "The live database most likely has the same damage, and a backup reads every row of it: npx budgie backup. If that fails, put the newest proven backup in its place: npx budgie restore latest --without-safety-backup. If it succeeds, restore that very backup, which writes every page anew: npx budgie restore latest";
}

function firstOf(lines: readonly string[]): string {
  const rest = lines.length - SHOWN_DIFFERENCES;
  const shown = lines.slice(0, SHOWN_DIFFERENCES).join("; ");
  return rest > 0 ? `${shown}; and ${rest} more` : shown;
}

function say(
  { outcome, why, next, notes, backup: name, moment, tables, rows, seconds }: DrilledAt,
  report: Reporter,
): void {
  const shown = shownMoment(Date.parse(moment));
  if (outcome === "bad") {
    report.warn(`Going back to ${shown} does not work: ${why}`);
    if (next) report.info(next);
    return;
  }
  for (const note of notes) report.info(note);
  report.done(
    `${shown} is proven: base backup and WAL lead there, and every row and object is as in ${name}. Tables: ${tables}, rows: ${rows}, seconds: ${seconds.toFixed(0)}`,
  );
}
