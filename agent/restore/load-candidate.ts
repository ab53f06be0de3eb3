import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, type RunAs } from "../base/child-process.ts";
import type { Reporter } from "../base/reporter.ts";
import { repairLines } from "../catalogue/unloadable-now.ts";
import {
  type Compared,
  compareRest,
  type EmptyDatabase,
  type LoadedDump,
  loadDump,
} from "../load/load-and-compare.ts";
import { type ReadDumpSql, SCRIPT_ERROR } from "../load/load-sql.ts";
import { liveMemory } from "../memory/limits.ts";
import { planLoad } from "../memory/need.ts";
import { analyze } from "../server/analyze.ts";
import { dropCandidate, schemaCandidateName } from "../server/candidate.ts";
import { type Login, withServerClient } from "../server/client-programs.ts";
import type { Lock } from "../server/database-lock.ts";
import { withLiveQuestions } from "../server/questions.ts";
import { diagnoseLoadError } from "../unloadable/diagnose.ts";
import { createCandidate } from "./candidate.ts";
import type { Filling, Restoring } from "./restoring.ts";

/** Whether the load, its comparison and a safety backup may go on at once. Throws a Stop when a row needs more memory than there is. */
export async function mayGoOnAtOnce(
  { settings, lock }: Restoring,
  { source: { authentic, manifest }, known }: Filling,
): Promise<boolean> {
  const limits = await liveMemory(settings, lock.session);
  const recorded = authentic ? manifest?.costliestRow : undefined;
  const order = planLoad(limits, known.longestRow, {
    safetyBackupAlongside: true,
    ...(recorded === undefined ? {} : { recorded }),
  });
  return order === "at once";
}

/** Runs `work` with the candidate as something to load into: with the stack's own rights, or only those of `login`. */
export function withCandidate<T>(
  { settings, lock }: Restoring,
  candidate: string,
  login: Login | null,
  written: Pick<EmptyDatabase, "lcMonetary" | "inSeveralBlocks" | "atOnce">,
  work: (database: EmptyDatabase) => Promise<T>,
): Promise<T> {
  return withServerClient(settings, null, reader => {
    const withClient = (client: RunAs) =>
      work({
        settings,
        name: candidate,
        client,
        reader,
        signal: lock.lost,
        withoutOwners: login !== null,
        ...written,
        another: inner => withAnother(settings, login, lock, inner),
        meanwhile: comparing => analyze(settings, candidate, lock, comparing),
      });
    return login === null ? withClient(reader) : withServerClient(settings, login, withClient);
  });
}

async function withAnother<T>(
  settings: AgentSettings,
  login: Login | null,
  { session }: Lock,
  work: (name: string) => Promise<T>,
): Promise<T> {
  const name = schemaCandidateName(settings.database);
  await createCandidate(session, settings, name, login?.user);
  try {
    return await work(name);
  } finally {
    await dropCandidate(session, settings, name);
  }
}

/** Throws a Stop when it does not load, or is not the dump that `requireSame` takes it for. */
export async function loadWhole(
  read: ReadDumpSql,
  shown: string,
  database: EmptyDatabase,
  requireSame: (loaded: LoadedDump) => Promise<void>,
): Promise<LoadedDump> {
  const loaded = await loadDump(read, database);
  // A dump that was changed may not load either. Then the change is why.
  await requireSame(loaded);
  if (loaded.end.code === 0) return loaded;
  const found = await withLiveQuestions(database.settings, ask => diagnoseLoadError(loaded.end.errors, ask));
  throw new Stop(
    EXIT.failed,
    `${shown} could not be loaded; psql ended with ${describeEnd(loaded.end)}.`,
    loaded.end.code === SCRIPT_ERROR && found !== null
      ? repairLines(found).join("\n    ")
      : "If the server's disk is full, free some space and run the same command again; else use another backup.",
  );
}

/** Throws a Stop when what was loaded is not the same as what was to be. */
export async function compareCandidate(
  loaded: LoadedDump,
  name: string,
  report: Reporter,
): Promise<Compared> {
  report.info("Step 3/5: comparing what was loaded with the backup: every table, object, and sequence");
  const compared = await compareRest(loaded);
  if (compared.differences.length > 0) {
    throw new Stop(
      EXIT.comparisonDiffers,
      `What was loaded is not what ${name} holds: ${compared.differences.join("; ")}.`,
      "Use another backup: `npx budgie list` shows them.",
    );
  }
  for (const note of compared.notes) report.info(note);
  for (const what of compared.notCompared) report.warn(`Not compared: ${what}`);
  return compared;
}
