import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd } from "../base/child-process.ts";
import type { Reporter } from "../base/reporter.ts";
import { damageFirst, type KnownDump, knowDump, requireSameDump, sqlOfFile } from "../load/known-dump.ts";
import { compareRest, type LoadedDump, loadDump } from "../load/load-and-compare.ts";
import { SCRIPT_ERROR } from "../load/load-sql.ts";
import { drillMemory } from "../memory/limits.ts";
import { planLoad } from "../memory/need.ts";
import { withLiveQuestions } from "../server/questions.ts";
import { readLikeness } from "../throwaway/empty-cluster.ts";
import type { ThrowawayPlace } from "../throwaway/place.ts";
import { runThrowawayServer, type ThrowawayServer } from "../throwaway/server.ts";
import { describeUnloadable, diagnoseLoadError } from "../unloadable/diagnose.ts";
import { BadBackup, heldAgainstIt } from "./bad-backup.ts";
import type { DrillSource } from "./source.ts";
import { emptyDatabase, missingExtensions, planFor, prepareServer, type Trial } from "./trial-server.ts";

export interface Verdict {
  /** `unloadable`: it holds what there was, but PostgreSQL does not take it back as it is. */
  outcome: "good" | "bad" | "unloadable";
  /** What is wrong with it; null when it is good. */
  why: string | null;
  /** What repairs the database that an unloadable one was taken of, line by line. */
  repair: string[];
  /** What is the same, and yet worth a word. */
  notes: string[];
}

const SHOWN_DIFFERENCES = 5;

/** PostgreSQL ended the load of a whole backup with an error; the message is what psql wrote of it. */
export class LoadRefused extends Error {}

/**
 * Loads a dump into a throw-away server, compares what is there then with the dump, and the dump with its manifest. The server is
 * as much like the stack's own as it must be. Records nothing. Throws a Stop when it comes to no verdict.
 */
export async function tryBackup(
  settings: AgentSettings,
  place: ThrowawayPlace,
  source: DrillSource,
  report: Reporter,
): Promise<Verdict> {
  try {
    report.info(`Step 1/4: looking at ${source.shown}`);
    const known = await know(source, report);
    report.info("Step 2/4: starting a throw-away server");
    const trial = { source, known, likeness: await readLikeness(settings) };
    const notes = await runThrowawayServer(settings, place, planFor(settings, trial), async server => {
      await prepareServer(server, place, trial);
      report.info("Step 3/4: loading the backup into it, and comparing each table with what was recorded");
      const loaded = await load(server, trial, report);
      report.info("Step 4/4: comparing every object, sequence and large object");
      return compare(loaded, source);
    });
    return { outcome: "good", why: null, repair: [], notes };
  } catch (error) {
    if (error instanceof LoadRefused) return judgeRefusal(settings, error.message);
    if (!(error instanceof BadBackup)) throw error;
    return bad(error.message);
  }
}

function bad(why: string): Verdict {
  return { outcome: "bad", why, repair: [], notes: [] };
}

/** Asks the live database what is at fault, once the throw-away server has ended. */
function judgeRefusal(settings: AgentSettings, errors: string): Promise<Verdict> {
  return withLiveQuestions(settings, async ask => {
    const found = await diagnoseLoadError(errors, ask);
    if (found === null) return bad(`it does not load: ${errors}`);
    return { outcome: "unloadable", why: describeUnloadable(found), repair: found.repair, notes: [] };
  });
}

/** What is known of a backup before it is loaded. Throws BadBackup for one that is not whole. */
export async function know({ path, shown, manifest }: DrillSource, report: Reporter): Promise<KnownDump> {
  const progress = report.progress("reading", manifest.bytes);
  try {
    return await heldAgainstIt(() => knowDump(path, shown, manifest, progress));
  } catch (error) {
    throw error instanceof BadBackup || error instanceof Stop ? error : unreadable(shown, error as Error);
  } finally {
    progress.end();
  }
}

/** Throws BadBackup for what is not the dump that its manifest recorded, and LoadRefused for one that PostgreSQL does not take. */
export async function load(server: ThrowawayServer, trial: Trial, report: Reporter): Promise<LoadedDump> {
  const { source, known } = trial;
  const { path, shown, manifest } = source;
  const order = planLoad(await drillMemory(server.settings), known.longestRow, {
    safetyBackupAlongside: false,
    ...(manifest.costliestRow === undefined ? {} : { recorded: manifest.costliestRow }),
  });
  const atOnce = order === "at once";
  const progress = report.progress("loading", manifest.bytes);
  const loaded = await heldAgainstIt(() =>
    damageFirst(source, async () => {
      const read = await sqlOfFile(path, shown, { progress, signal: server.lost });
      return loadDump(read, emptyDatabase(server, trial, atOnce));
    }),
  )
    .catch((error: unknown) => {
      const code = (error as NodeJS.ErrnoException).code;
      // The file could not be read: that says nothing of what is in it.
      throw typeof code === "string" && code.startsWith("E") ? unreadable(shown, error as Error) : error;
    })
    .finally(() => progress.end());
  const { end } = loaded;
  const trouble = end.code === 0 ? null : await server.trouble();
  if (end.code !== 0 && (end.code !== SCRIPT_ERROR || trouble !== null)) {
    throw new Stop(
      EXIT.failed,
      `${shown} could not be tried: ${trouble ?? `psql ended with ${describeEnd(end)}`}.`,
      "Run the same command again; nothing is known about the backup yet.",
    );
  }
  await heldAgainstIt(() => requireSameDump(loaded, source, known.read)).catch(async (error: unknown) => {
    if (!(error instanceof BadBackup)) throw error;
    const more =
      end.code === 0
        ? await missingExtensions(server.settings, manifest)
        : [`it does not load; psql ended with ${describeEnd(end)}`];
    throw new BadBackup([error.message, ...more].join("; "));
  });
  if (end.code !== 0) throw new LoadRefused(end.errors);
  return loaded;
}

/** Throws BadBackup for what differs; returns what is worth a word all the same. */
export async function compare(loaded: LoadedDump, { shown, manifest }: DrillSource): Promise<string[]> {
  const { differences, notes, notCompared } = await compareRest(loaded);
  const all = [...(await missingExtensions(loaded.database.settings, manifest)), ...differences];
  if (all.length > 0)
    throw new BadBackup(`what was restored is not what its manifest recorded: ${firstOf(all)}`);
  if (notCompared.length > 0) {
    throw new Stop(
      EXIT.failed,
      `${shown} is neither proven nor bad, because this was not compared: ${notCompared.join("; ")}.`,
      "Take a new backup with `npx budgie backup`, and drill that one.",
    );
  }
  return notes;
}

function unreadable(shown: string, error: Error): Stop {
  return new Stop(
    EXIT.failed,
    `${shown} could not be read: ${error.message}.`,
    "Run the same command again.",
  );
}

function firstOf(differences: readonly string[]): string {
  const rest = differences.length - SHOWN_DIFFERENCES;
  const shown = differences.slice(0, SHOWN_DIFFERENCES).join("; ");
  return rest > 0 ? `${shown}; and ${rest} more` : shown;
}
