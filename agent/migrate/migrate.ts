import type { AgentSettings } from "../../shared/agent-settings.ts";
import { backupUnderLock } from "../backup/backup.ts";
import { ignoreSignals } from "../base/interruption.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { shownSecond } from "../base/shown-moment.ts";
import { checkIdentity } from "../catalogue/identity.ts";
import { type Manifest, totalRows } from "../manifest/manifest.ts";
import { operate } from "../operation/operate.ts";
import { candidateName } from "../server/candidate.ts";
import { connectToMaintenance, inDatabase } from "../server/connection.ts";
import { type Lock, withLock } from "../server/database-lock.ts";
import { carryThere, dropHalfDone, giveName, oidOf } from "./candidate-there.ts";
import { type Finished, noteFinished, readFinished } from "./finished.ts";
import { loadThere } from "./load-there.ts";
import { type Fit, type Needed, requireEmpty, requireFit, SORTING } from "./look-at-target.ts";
import {
  isSame,
  requireAsItWas,
  requireNobodyWrites,
  requireNonePrepared,
  writtenIn,
} from "./source-at-rest.ts";
import type { Target } from "./target.ts";

/** What a look before a move found. */
export interface Planned {
  target: string;
  /** The move that an earlier command has finished, whose end nobody was told. */
  finished: Finished | null;
}

/** Looks whether the database can go to the target, and says what would happen. Changes nothing, here or there. Throws a Stop. */
export async function planMove(settings: AgentSettings, target: Target, report: Reporter): Promise<Planned> {
  const there = await connectToMaintenance(target.settings, "budgie migrate");
  try {
    const finished = await finishedThere(settings, target, () => oidOf(there, target.settings.database));
    if (finished) return { target: target.shown, finished };
    const needed = await readNeeded(settings);
    await requireNoPrepared(settings);
    const { exists } = await requireFit(there, target, needed, report);
    const { database, stack } = settings;
    report.info(
      `${database} of stack ${stack} (${needed.tables} tables, ${humanSize(needed.databaseBytes)}) goes to ${target.shown}${exists ? ", which is empty" : ""}`,
    );
    return { target: target.shown, finished: null };
  } finally {
    await there.end();
  }
}

/**
 * The whole way but for the name, while everything goes on here: a backup, its load at the target, the comparison. Then it is thrown
 * away there. So whatever would keep the move from succeeding shows before anything is stopped.
 */
export function rehearseMove(settings: AgentSettings, target: Target, report: Reporter): Promise<void> {
  return underBothLocks(settings, target, report, "migrate (rehearsal)", async (here, there, fit) => {
    const begun = Date.now();
    const manifest = await backupToMove(settings, here, report);
    try {
      await loadThere({ settings, lock: here, report }, there, target, fit, manifest);
    } finally {
      await dropHalfDone(there.session, target).catch(() => undefined);
    }
    const seconds = (Date.now() - begun) / 1000;
    report.done(
      `All of it can be loaded at ${target.shown}, and is the same there; it took ${seconds.toFixed(1)} s`,
    );
  });
}

/**
 * Moves the database, while whoever types the command holds the API. Here nothing is changed.
 *
 * INVARIANT: under its name the target holds either what it held, or all that this database holds, compared; nobody has written
 * here since the backup was begun. A kill leaves half of it under a name and a comment that the next move knows and drops.
 */
export function cutOver(settings: AgentSettings, target: Target, report: Reporter): Promise<Finished> {
  return underBothLocks(settings, target, report, "migrate", async (here, there, fit) => {
    await requireNobodyWrites(here.session, settings);
    const written = await writtenIn(settings);
    const manifest = await backupToMove(settings, here, report);
    try {
      await loadThere({ settings, lock: here, report }, there, target, fit, manifest);
      await carryThere(here.session, there.session, settings, target, fit, report);
      return await nameIt({ settings, here, there, target, fit, report }, manifest, written);
    } catch (error) {
      // Why it failed matters more than what stays there: the next move clears that away.
      await dropHalfDone(there.session, target).catch(() => undefined);
      throw error;
    }
  });
}

interface Moving {
  settings: AgentSettings;
  here: Lock;
  there: Lock;
  target: Target;
  fit: Fit;
  report: Reporter;
}

async function nameIt(
  { settings, here, there, target, fit, report }: Moving,
  manifest: Manifest,
  written: Finished["written"],
): Promise<Finished> {
  const candidate = candidateName(target.settings.database);
  const oid = await oidOf(there.session, candidate);
  if (oid === null) throw new Error(`${candidate} is gone from the target`);
  if (fit.exists) await requireEmpty(target);
  await requireAsItWas(here.session, settings, written);
  const { tables } = manifest;
  const record: Finished = {
    target: target.shown,
    oid,
    backup: manifest.file,
    tables: tables.length,
    rows: totalRows(tables),
    written,
    at: new Date().toISOString(),
  };
  await noteFinished(settings, record);
  here.lost.throwIfAborted();
  const previous = await giveName(there.session, target, await commentHere(here, settings));
  report.done(
    `${target.shown} holds it. Tables: ${record.tables}, rows: ${record.rows}, compared with ${record.backup}`,
  );
  ignoreSignals();
  if (previous) report.info(`The empty database that was there is kept as ${previous}; nobody needs it`);
  return record;
}

/** Whether an earlier move was finished, and nobody has written here since. */
async function finishedThere(
  settings: AgentSettings,
  { shown }: Target,
  oidThere: () => Promise<string | null>,
): Promise<Finished | null> {
  const record = await readFinished(settings);
  if (record === null || record.target !== shown || record.oid !== (await oidThere())) return null;
  return isSame(record.written, await writtenIn(settings)) ? record : null;
}

export function sayFinished({ target, at, tables, rows, backup }: Finished, report: Reporter): void {
  report.done(
    `It was moved to ${target} before, at ${shownSecond(new Date(at))}, and nothing was written here since. Tables: ${tables}, rows: ${rows}, compared with ${backup}`,
  );
}

/** Here first: then nothing else of this stack goes on, and one that is busy is not even looked at there. */
function underBothLocks<T>(
  settings: AgentSettings,
  target: Target,
  report: Reporter,
  name: string,
  work: (here: Lock, there: Lock, fit: Fit) => Promise<T>,
): Promise<T> {
  return operate(settings, { kind: "beside", name }, report, async here => {
    const needed = await readNeeded(settings);
    await requireNonePrepared(here.session, settings.database);
    return withLock(target.settings, `migrate from ${settings.stack}`, async there => {
      const fit = await requireFit(there.session, target, needed, report);
      await dropHalfDone(there.session, target);
      return work(here, there, fit);
    });
  });
}

/** Of a format whose owners pg_restore can leave out, whatever the stack's own is. */
export function backupToMove(settings: AgentSettings, lock: Lock, report: Reporter): Promise<Manifest> {
  return backupUnderLock(settings, { reason: "before-change", format: "dump" }, lock, report);
}

async function readNeeded(settings: AgentSettings): Promise<Needed> {
  const facts = await checkIdentity(settings);
  return inDatabase(settings, settings.database, "budgie migrate", async session => {
    const { rows } = await session.query<Pick<Needed, "serverEncoding" | "sorting" | "forced">>(
      `SELECT pg_encoding_to_char(encoding) AS "serverEncoding", ${SORTING} AS sorting,
              ARRAY(SELECT oid::regclass::text FROM pg_class WHERE relforcerowsecurity AND relrowsecurity ORDER BY 1) AS forced
         FROM pg_database d WHERE datname = current_database()`,
    );
    if (!rows[0]) throw new Error("the server did not say what its database is like");
    return { ...facts, ...rows[0] };
  });
}

async function requireNoPrepared(settings: AgentSettings): Promise<void> {
  const session = await connectToMaintenance(settings, "budgie migrate");
  try {
    await requireNonePrepared(session, settings.database);
  } finally {
    await session.end();
  }
}

async function commentHere({ session }: Lock, { database }: AgentSettings): Promise<string | null> {
  const { rows } = await session.query<{ comment: string | null }>(
    "SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1",
    [database],
  );
  return rows[0]?.comment ?? null;
}
