import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { listBackups } from "./catalogue.ts";
import { type UnloadableNow, unloadableNow } from "./unloadable-now.ts";

/**
 * The operator's decision to go on with backups that cannot be proven, because the database cannot be reloaded as it is. It
 * covers one reason in one database, and no other fault. A drill that succeeds ends it.
 */
const acceptance = z.object({
  systemIdentifier: z.string().regex(/^\d+$/),
  /** The object and what is wrong with it, word by word as the drill said it. */
  why: z.string().min(1),
  /** The backup that was drilled. Only a newer one, when it is proven, shows that the reason is gone. */
  backup: z.string(),
  acceptedAt: z.iso.datetime(),
});

export type Acceptance = z.infer<typeof acceptance>;

/** When the operator accepted this very reason in this very database. Null when that never happened, or the record cannot be read. */
export async function acceptedSince(
  settings: AgentSettings,
  { systemIdentifier, why }: Pick<UnloadableNow, "systemIdentifier" | "why">,
): Promise<string | null> {
  const record = await readAcceptance(settings);
  return record?.why === why && record.systemIdentifier === systemIdentifier ? record.acceptedAt : null;
}

/** Records the decision about what the newest drill found, and returns what it found. Throws a Stop when there is nothing to accept. */
export async function acceptUnproven(settings: AgentSettings): Promise<UnloadableNow> {
  const found = unloadableNow(await listBackups(settings));
  if (found === null) {
    throw new Stop(
      EXIT.failed,
      `There is nothing to accept: no drill has found that the database of stack ${settings.stack} cannot be reloaded.`,
      "`npx budgie drill` tries the newest backup.",
    );
  }
  const { name, systemIdentifier, why } = found;
  const record: Acceptance = { systemIdentifier, why, backup: name, acceptedAt: new Date().toISOString() };
  await writeRecord(acceptancePath(settings), record);
  return found;
}

/** Ends the decision when a newer backup than its own is proven: then there is nothing left to accept. */
export async function endAcceptance(settings: AgentSettings, proven: string): Promise<void> {
  const record = await readAcceptance(settings);
  if (record !== null && proven > record.backup) await rm(acceptancePath(settings), { force: true });
}

async function readAcceptance(settings: AgentSettings): Promise<Acceptance | null> {
  const reading = await readRecord(acceptance, acceptancePath(settings));
  return reading.found ? reading.record : null;
}

function acceptancePath(settings: AgentSettings): string {
  return join(settings.backupDir, `.accepted-unproven-${settings.stack}.json`);
}
