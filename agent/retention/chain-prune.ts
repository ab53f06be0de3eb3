import { rm } from "node:fs/promises";
import { join } from "node:path";
import { shownPlace } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { forget } from "../catalogue/known.ts";
import { soundPart } from "../point-in-time/at-rest.ts";
import { readSent, unsentBases, unsentSegments } from "../point-in-time/chain-sent.ts";
import { knownName } from "../point-in-time/known-bases.ts";
import { readLooks } from "../point-in-time/looks.ts";
import { baseFolder, type Chain, listChains, readChain, walFolder } from "../point-in-time/wal-chain.ts";
import { asVerdicts, type ChainVerdict, decideChains, type KeptChain } from "./chain-retention.ts";
import type { Verdict } from "./retention.ts";

interface Judged {
  chains: Chain[];
  kept: KeptChain[];
  verdicts: ChainVerdict[];
}

/** What retention says of every base backup and its WAL. Touches nothing. */
export async function judgeChains(settings: AgentSettings, now = new Date()): Promise<Verdict[]> {
  const { verdicts, kept } = await readAndDecide(settings, now);
  return asVerdicts(verdicts, kept);
}

/**
 * DESTROYS the base backups and the WAL that retention lets go. Only for whoever holds the lock, as a recovery does. At any kill
 * everything that stays is whole: a record goes before its files, and WAL goes only after the base backups before it.
 */
export async function pruneChains(settings: AgentSettings, report: Reporter): Promise<Verdict[]> {
  const { chains, kept, verdicts } = await readAndDecide(settings, new Date());
  for (const [index, verdict] of verdicts.entries()) {
    const [chain, content] = [chains[index], kept[index]?.content];
    if (!chain || !content) continue;
    for (const { name, keep, reason } of verdict.bases) {
      if (keep) continue;
      await forget(settings, knownName(settings, chain, name));
      for (const ending of ["json", "manifest", "tar.gz"])
        await rm(join(baseFolder(chain), `${name}.${ending}`), { force: true });
      await forget(settings, knownName(settings, chain, name));
      report.info(`Removed the base backup ${name}: ${reason}`);
    }
    const going = content.sealed.filter(
      ({ segment }) => verdict.keepFrom === null || segment < verdict.keepFrom,
    );
    for (const { file } of going) await rm(join(walFolder(chain), file), { force: true });
    if (going.length > 0) report.info(`Removed ${going.length} segments of WAL that no base backup needs`);
    if (verdict.whole) await rm(chain.folder, { recursive: true, force: true });
  }
  return asVerdicts(verdicts, kept);
}

async function readAndDecide(settings: AgentSettings, now: Date): Promise<Judged> {
  const chains = await listChains(settings);
  const kept = await Promise.all(chains.map(chain => describeChain(settings, chain)));
  return { chains, kept, verdicts: decideChains(kept, settings.keep.days, now) };
}

async function describeChain(settings: AgentSettings, chain: Chain): Promise<KeptChain> {
  const { offsite } = settings;
  const content = await readChain(chain);
  const sealedUntil = content.sealed.map(({ coversUntil }) => coversUntil);
  const known = [...sealedUntil, ...(content.mark ? [content.mark.at] : [])];
  const reaches = known.length > 0 ? Math.max(...known) : null;
  if (offsite === null) return { content, reaches, unsentBases: new Set(), firstUnsentSegment: null };
  const sent = await readSent(chain, shownPlace(offsite));
  // What is damaged is never sent, and must not be kept for ever because of that.
  const sound = soundPart(content, await readLooks(settings));
  return {
    content,
    reaches,
    unsentBases: new Set(unsentBases(sound, sent).map(({ name }) => name)),
    firstUnsentSegment: unsentSegments(sound, sent)[0]?.segment ?? null,
  };
}
