import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";

const state = z.object({
  /** What the last alert was of: the lines that were wrong, by their names. Empty: everything was right. */
  told: z.array(z.string()).default([]),
  /** Since when the lines that are wrong now are so; null when none is. */
  wrongSince: z.iso.datetime().nullable().default(null),
  /** How the newest message to each destination came out, by what may be shown of it. */
  deliveries: z
    .record(z.string(), z.object({ at: z.iso.datetime(), failure: z.string().nullable() }))
    .default({}),
});

/**
 * What is remembered of alerts, so that a restart of the agent repeats none and forgets none. It is kept apart from the backups, as
 * their records are: an emptied backup directory is what an alert is about.
 */
export type AlertState = z.infer<typeof state>;

export async function readAlertState(settings: AgentSettings): Promise<AlertState> {
  for (const path of [statePath(settings), oldPath(settings)]) {
    const reading = await readRecord(state, path);
    if (reading.found) return reading.record;
  }
  return { told: [], wrongSince: null, deliveries: {} };
}

/** One change after the other: the look at the status, and a backup's heartbeat, come at the same time. */
let changing: Promise<unknown> = Promise.resolve();

/** A note: a disk too full for it must not keep an alert from being sent. */
export function changeAlertState(
  settings: AgentSettings,
  change: (known: AlertState) => Partial<AlertState>,
): Promise<unknown> {
  changing = changing.then(async () => {
    const known = await readAlertState(settings);
    await keep(settings, { ...known, ...change(known) }).catch(() => undefined);
  });
  return changing;
}

export async function noteDelivery(
  settings: AgentSettings,
  shown: string,
  failure: string | null,
): Promise<void> {
  const delivery = { at: new Date().toISOString(), failure };
  await changeAlertState(settings, ({ deliveries }) => ({
    deliveries: { ...deliveries, [shown]: delivery },
  }));
}

/** One sentence for each destination that could not be told. */
export function judgeDeliveries({ deliveries }: AlertState, destinations: readonly string[]): string[] {
  return Object.entries(deliveries).flatMap(([shown, { at, failure }]) =>
    failure !== null && destinations.includes(shown)
      ? [
          `An alert was not delivered to ${shown} (${at.slice(0, 16).replace("T", " ")} UTC): ${failure}. Try again: npx budgie alert --test`,
        ]
      : [],
  );
}

async function keep(settings: AgentSettings, kept: AlertState): Promise<void> {
  await mkdir(settings.recordsDir, { recursive: true, mode: 0o700 });
  await writeRecord(statePath(settings), kept);
  await rm(oldPath(settings), { force: true });
}

/** Beside the records of backups, which end in .json. */
function statePath({ recordsDir }: AgentSettings): string {
  return join(recordsDir, "alerts");
}

/** Where older agents kept it. */
function oldPath({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `.alerts-${stack}.json`);
}
