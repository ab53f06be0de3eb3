import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";

const attempt = z.object({
  /** The command that tried: backup, push, or serve. */
  operation: z.string(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
  /** `running` and nobody at work means that it was killed. */
  outcome: z.enum(["running", "done", "failed"]),
  /** Why it failed. Of one that is running: why the one before it failed, which it takes away only when it is done. */
  message: z.string().nullable(),
  /** When the last one ended that succeeded; null where none is known to have. */
  doneAt: z.iso.datetime().nullable().default(null),
});

const offsiteState = z.object({
  /** How the newest attempt to send what is missing ended, for each place that copies go to. */
  store: attempt.nullable(),
  ssh: attempt.nullable(),
  /**
   * Backups that are not sent again as they are. The file is not what its manifest says, or nobody knows what the store has
   * under one of the backup's keys. To try again would cost the whole upload each time, or find the key taken and believe it.
   */
  setAside: z.array(
    z.object({ name: z.string(), changedAt: z.iso.datetime(), key: z.string(), why: z.string() }),
  ),
});

export type Attempt = z.infer<typeof attempt>;
export type OffsiteState = z.infer<typeof offsiteState>;

const NOTHING_YET: OffsiteState = { store: null, ssh: null, setAside: [] };

/** What is remembered about copies between two runs. A note beside the manifests, which alone say what was sent. */
export async function readOffsiteState(settings: AgentSettings): Promise<OffsiteState> {
  const reading = await readRecord(offsiteState, offsiteStatePath(settings));
  return reading.found ? reading.record : NOTHING_YET;
}

/** Only for whoever holds the copies' lock. A disk too full for this note must not hide why the work itself failed. */
export async function changeOffsiteState(
  settings: AgentSettings,
  change: Partial<OffsiteState>,
): Promise<void> {
  const state = { ...(await readOffsiteState(settings)), ...change };
  await writeRecord(offsiteStatePath(settings), state).catch(() => undefined);
}

/** `push, since 14:00:05 UTC`: who sends at the moment, as far as is known. */
export function shownHolder({ store, ssh }: OffsiteState): string {
  const running = [store, ssh].find(last => last?.outcome === "running");
  return running ? `${running.operation}, since ${running.startedAt.slice(11, 19)} UTC` : "another command";
}

function offsiteStatePath(settings: AgentSettings): string {
  return join(settings.backupDir, `.offsite-${settings.stack}.json`);
}
