import type { AgentSettings } from "../../shared/agent-settings.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import type { RestoreSource } from "../catalogue/backup-source.ts";
import { saveIdentity } from "../catalogue/identity.ts";
import type { KnownDump } from "../load/known-dump.ts";
import { totalRows } from "../manifest/manifest.ts";
import { type Operation, operate } from "../operation/operate.ts";
import { candidateName } from "../server/candidate.ts";
import { readServerFacts } from "../server/connection.ts";
import { lookAtLive, withLookAfter } from "../server/live-look.ts";
import { withFilledCandidate } from "./fill-candidate.ts";
import { preflight } from "./preflight.ts";
import { withRestoreSource } from "./restore-source.ts";
import type { Restored, RestoreOptions, Restoring, SaveFirst } from "./restoring.ts";
import { saveFirst } from "./safety-backup.ts";
import { swapIn } from "./swap.ts";

/**
 * The one door back into the database: load beside, compare, swap. Until the swap's COMMIT the live database is only
 * read; after it, it lives on under another name. At any kill the old database serves. The same command run again throws away
 * what is half done, and starts over.
 */
export function restore(
  settings: AgentSettings,
  options: RestoreOptions,
  report: Reporter,
): Promise<Restored> {
  return operate(settings, operationOf(options), report, lock =>
    withRestoreSource(settings, options, report, source =>
      restoreUnderLock({ settings, lock, report }, options, source),
    ),
  );
}

/** One that is set up is tried again, so a backup that succeeds in between does not take its bad end away. */
function operationOf({ refresh }: RestoreOptions): Operation {
  if (refresh?.operation !== undefined) return { kind: "refresh", name: refresh.operation };
  return { kind: "restore", name: refresh ? "refresh" : "restore" };
}

async function restoreUnderLock(
  restoring: Restoring,
  options: RestoreOptions,
  given: RestoreSource,
): Promise<Restored> {
  const { settings, lock, report } = restoring;
  const { source, known, slotsLeftBehind } = await preflight(restoring, options, given);
  if (options.refresh) requireRecorded(source, known, options.refresh.contentSha256);
  const before = await lookAtLive(lock.session, settings);
  let saved: string | null = null;
  const save: SaveFirst = async held => {
    saved = await saveFirst(held, options);
    return saved;
  };
  const candidate = candidateName(settings.database);
  const filling = { source, known, candidate, save, mask: options.refresh?.mask ?? null };
  const { filled, previousDatabase } = await withFilledCandidate(
    restoring,
    options,
    filling,
    async filled => {
      report.info(`Step 4/5: putting it in the place of ${settings.database}`);
      return { filled, previousDatabase: await swapIn(settings, lock, candidate) };
    },
  ).catch(async (error: unknown) => {
    throw await withLookAfter(error, before, lock.session, settings, saved);
  });
  const { tables } = filled.content;
  const { systemIdentifier } = await readServerFacts(settings);
  await saveIdentity(settings, systemIdentifier, tables.length === 0);
  const rows = totalRows(tables);
  report.done(`Database restored. Tables: ${tables.length}, rows: ${rows}`);
  if (previousDatabase)
    report.info(
      `What was there before is kept as ${previousDatabase}; \`npx budgie restore --undo\` brings it back`,
    );
  return {
    source: source.name,
    database: settings.database,
    tables: tables.length,
    rows,
    safetyBackup: filled.safetyBackup,
    previousDatabase,
    notCompared: filled.compared.notCompared,
    slotsLeftBehind,
  };
}

/** Another stack's manifest is not this one's to judge. But a file that is not what was proven is of no use to anybody. */
function requireRecorded(
  { shown, manifest }: RestoreSource,
  { read }: KnownDump,
  contentSha256: string | null,
): void {
  const recorded = contentSha256 ?? manifest?.contentSha256;
  if (recorded === undefined || read === null || recorded === read.contentSha256) return;
  throw refuse(`${shown} is not what its manifest recorded: its bytes are others`);
}
