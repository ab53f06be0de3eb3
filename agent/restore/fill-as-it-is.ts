import { withoutProgress } from "../base/reporter.ts";
import { sideBySide } from "../base/side-by-side.ts";
import { damageFirst, inSeveralBlocks, requireSameDump, sqlOfFile } from "../load/known-dump.ts";
import { createCandidate } from "./candidate.ts";
import { compareCandidate, loadWhole, mayGoOnAtOnce, withCandidate } from "./load-candidate.ts";
import type { Filled, Filling, Restoring } from "./restoring.ts";

/**
 * Everything between the preflight and the swap, for a dump that is loaded as it is, with all rights. The safety backup only
 * reads the live database, and the load only writes the candidate. So they go on side by side, unless the backup is to be
 * finished first; the first to fail ends the other. There is no swap without both.
 */
export async function fillAsItIs(restoring: Restoring, filling: Filling): Promise<Filled> {
  const { settings, lock, report } = restoring;
  const { source, known, candidate, save } = filling;
  if (!source.authentic) {
    report.warn(
      `${source.shown} was not written by this stack and is loaded as it is, with all rights, because --trust-file says so: it can change roles, settings and every database of this server`,
    );
  }
  const atOnce = await mayGoOnAtOnce(restoring, filling);
  const saveFirst = !source.authentic || !atOnce;
  await createCandidate(lock.session, settings, candidate);
  const both = sideBySide(lock.lost);
  const shared = { ...restoring, lock: { ...lock, lost: both.signal } };
  // One bar on the terminal is enough: the load's, which takes longer.
  const saving = both.add(save(saveFirst ? shared : { ...shared, report: withoutProgress(report) }));
  if (saveFirst) await saving;
  report.info(`Step 2/5: loading ${source.name}${saveFirst ? "" : " beside it meanwhile"}, as ${candidate}`);
  const { path, shown, manifest } = source;
  const progress = report.progress("loading", manifest?.bytes ?? known.read?.bytes ?? null);
  const lcMonetary = manifest?.lcMonetary ?? null;
  const written = { lcMonetary, inSeveralBlocks: inSeveralBlocks(known), atOnce };
  return withCandidate(shared, candidate, null, written, async database => {
    const loading = both.add(
      damageFirst(source, async () => {
        const read = await sqlOfFile(path, shown, { progress, signal: both.signal });
        return loadWhole(read, shown, database, loaded => requireSameDump(loaded, source, known.read));
      }),
    );
    await both.ended().finally(() => progress.end());
    const loaded = await loading;
    const compared = await compareCandidate(loaded, source.name, report);
    return { safetyBackup: await saving, content: loaded.content, compared };
  });
}
