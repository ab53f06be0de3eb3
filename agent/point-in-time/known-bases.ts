import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { fileExists } from "../base/file-exists.ts";
import { type Known, readKnown, remember, stillKnown } from "../catalogue/known.ts";
import { baseFolder, type Chain, listChains, readChain } from "./wal-chain.ts";

const FOLDER = "point-in-time/";

/** A path in the backup directory. */
export function knownName({ backupDir }: AgentSettings, chain: Chain, base: string): string {
  return join(baseFolder(chain), `${base}.tar.gz`).slice(backupDir.length + 1);
}

/** Notes each base backup, so that it is missed when it is gone: without it, its WAL leads nowhere. */
export async function rememberBases(settings: AgentSettings): Promise<void> {
  await remember(settings, await basesHere(settings), name => fileExists(join(settings.backupDir, name)));
}

/** Oldest first. */
export async function missingBases(settings: AgentSettings): Promise<Known[]> {
  const known = (await readKnown(settings)).filter(({ name }) => name.startsWith(FOLDER));
  const here = new Set((await basesHere(settings)).map(({ name }) => name));
  return stillKnown(
    settings,
    known.filter(({ name }) => !here.has(name)),
  );
}

async function basesHere(settings: AgentSettings): Promise<Known[]> {
  const chains = await listChains(settings);
  const contents = await Promise.all(chains.map(readChain));
  return contents.flatMap(({ bases }, at) =>
    bases.map(({ name, consistentAt, systemIdentifier }) => ({
      name: knownName(settings, chains[at] as Chain, name),
      at: consistentAt,
      systemIdentifier,
      tables: 0,
    })),
  );
}
