import { join } from "node:path";
import type pg from "pg";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd } from "../base/child-process.ts";
import { silentProgress } from "../base/reporter.ts";
import { repairLines } from "../catalogue/unloadable-now.ts";
import { differencesOf, knowDump, sqlOfFile } from "../load/known-dump.ts";
import { compareRest, type LoadedDump, loadDump } from "../load/load-and-compare.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { mayGoOnAtOnce } from "../restore/load-candidate.ts";
import type { Restoring } from "../restore/restoring.ts";
import { saveNothing } from "../restore/safety-backup.ts";
import { analyze } from "../server/analyze.ts";
import { candidateName, dropCandidate, schemaCandidateName } from "../server/candidate.ts";
import { withServerClient } from "../server/client-programs.ts";
import type { Lock } from "../server/database-lock.ts";
import { readDatabaseTraits } from "../server/database-traits.ts";
import { withLiveQuestions } from "../server/questions.ts";
import { diagnoseLoadError } from "../unloadable/diagnose.ts";
import { createThere } from "./candidate-there.ts";
import type { Fit } from "./look-at-target.ts";
import type { Target } from "./target.ts";

/**
 * Loads a backup that was just taken into the candidate at the target, and compares what is there then with the backup: every row, every
 * object, every sequence. Throws a Stop unless all of it is the same.
 */
export async function loadThere(
  here: Restoring,
  there: Lock,
  target: Target,
  { withOwners }: Fit,
  manifest: Manifest,
): Promise<void> {
  const { settings, report } = here;
  const path = join(settings.backupDir, manifest.file);
  const shown = `${settings.backupDirShown}/${manifest.file}`;
  const source = {
    name: manifest.file,
    path,
    shown,
    manifest,
    authentic: true,
    discard: async () => undefined,
  };
  const known = await knowDump(path, shown, manifest, silentProgress);
  const candidate = candidateName(target.settings.database);
  // How much memory the server there has is not known. It is taken to have what the one here has.
  const atOnce = await mayGoOnAtOnce(here, { source, known, candidate, save: saveNothing });
  const traits = await readDatabaseTraits(here.lock.session, settings.database);
  await createThere(there.session, target, candidate, traits);
  report.info(`Loading ${manifest.file} at ${target.shown}, under another name`);
  const progress = report.progress("loading", manifest.bytes);
  const signal = AbortSignal.any([here.lock.lost, there.lost]);
  const lcMonetary = await moneyThere(there.session, manifest.lcMonetary ?? null);
  await withServerClient(target.settings, null, async client => {
    const read = await sqlOfFile(path, shown, { progress, signal, withoutOwners: !withOwners });
    const loaded = await loadDump(read, {
      settings: target.settings,
      name: candidate,
      client,
      reader: client,
      signal,
      withoutOwners: !withOwners,
      lcMonetary,
      inSeveralBlocks: new Set(),
      atOnce,
      another: work => withAnother(there, target, traits, work),
      meanwhile: comparing => analyze(target.settings, candidate, there, comparing),
    }).finally(() => progress.end());
    await requireLoaded(here, loaded, manifest, withOwners);
    report.info("Comparing what is there with the backup: every table, object, and sequence");
    const { differences, notes, notCompared } = await compareRest(loaded);
    const unlike = [...differences, ...notCompared];
    if (unlike.length > 0)
      throw new Stop(
        EXIT.comparisonDiffers,
        `What was loaded at ${target.shown} is not what ${manifest.file} holds: ${unlike.join("; ")}. It is thrown away there.`,
        "Nothing was lost. A backup can be restored by hand there with PostgreSQL's own tools; say what differs to whoever keeps that server.",
      );
    for (const note of notes) report.info(note);
  });
}

async function withAnother<T>(
  { session }: Lock,
  target: Target,
  traits: Awaited<ReturnType<typeof readDatabaseTraits>>,
  work: (name: string) => Promise<T>,
): Promise<T> {
  const name = schemaCandidateName(target.settings.database);
  await createThere(session, target, name, traits);
  try {
    return await work(name);
  } finally {
    await dropCandidate(session, target.settings, name);
  }
}

/** Without owners the schema's text is another one; it is compared with the database there all the same. */
async function requireLoaded(
  { settings }: Restoring,
  { content, fileSha256, end }: LoadedDump,
  manifest: Manifest,
  withOwners: boolean,
): Promise<void> {
  const { schemaSha256 } = withOwners ? content : manifest;
  const differences = differencesOf({ ...content, schemaSha256 }, manifest);
  if (!content.complete || fileSha256 !== manifest.contentSha256 || differences.length > 0)
    throw new Stop(
      EXIT.unusableBackup,
      `${manifest.file} is not what was written a moment ago: ${differences.join("; ") || "its bytes are others"}. Nothing was moved.`,
      "Look at the disk of the backups: `npx budgie verify`. Then run the same command again.",
    );
  if (end.code === 0) return;
  const found = await withLiveQuestions(settings, ask => diagnoseLoadError(end.errors, ask));
  throw new Stop(
    EXIT.failed,
    `${manifest.file} could not be loaded there; psql ended with ${describeEnd(end)}. What was loaded is thrown away.`,
    found === null
      ? "If the server's disk is full, or a right is missing there, put that right and run the same command again."
      : repairLines(found).join("\n    "),
  );
}

/** A server that does not know how money is written here writes it in its own way, on both sides of the comparison alike. */
async function moneyThere(session: pg.Client, wanted: string | null): Promise<string | null> {
  if (wanted === null) return null;
  const known = await session.query("SELECT set_config('lc_monetary', $1, false)", [wanted]).then(
    () => true,
    () => false,
  );
  return known ? wanted : null;
}
