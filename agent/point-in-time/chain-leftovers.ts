import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { isPartial } from "../base/durable-file.ts";
import { baseFolder, listChains, namesIn, receivingFolder, walFolder } from "./wal-chain.ts";

/**
 * Removes what a killed agent has half written, in every chain: nobody takes another base backup in a chain that has ended. Only for
 * whoever keeps the chains, before it begins.
 */
export async function removeChainLeftovers(settings: AgentSettings): Promise<void> {
  for (const chain of await listChains(settings))
    for (const folder of [chain.folder, baseFolder(chain), walFolder(chain), receivingFolder(chain)])
      for (const name of (await namesIn(folder)).filter(isPartial))
        await rm(join(folder, name), { recursive: true, force: true });
}
