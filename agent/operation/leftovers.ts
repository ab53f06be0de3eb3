import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { leftPartials, removeLeftovers } from "../base/durable-file.ts";
import { clearLeftMemoryFolders, leftMemoryFolders } from "../base/memory-folder.ts";
import type { Reporter } from "../base/reporter.ts";
import { abandonedScratch, removeAbandonedScratch } from "../dump/unpacked-directory.ts";
import { finishPending, pendingNames } from "../manifest/pending.ts";
import { dropLeftAtServer, leftAtServer } from "../server/candidate.ts";
import { endOrphans, orphansAtWork } from "../server/orphans.ts";
import { clearLeftPlaces, leftPlaces } from "../throwaway/place.ts";

/** Where a restore keeps what comes through its standard input or from a bucket, until it ends. */
export function incomingPath({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `${incomingPrefix(stack)}${Date.now()}`);
}

/**
 * What killed operations have left, each as the status names it. What an operation is working with looks the same, so it is only
 * asked while nobody holds the lock.
 */
export async function findLeftovers(session: pg.Client, settings: AgentSettings): Promise<string[]> {
  const { databases, loader } = await leftAtServer(session, settings);
  return [
    ...databases.map(name => `the database ${name}`),
    ...(loader ? ["the role that it was loaded with"] : []),
    ...(await pendingNames(settings)),
    ...(await leftIncoming(settings)),
    ...(await leftPartials(settings.backupDir, settings.stack)),
    ...(await leftPlaces()).map(purpose => `a throw-away server (${purpose})`),
    ...(await abandonedScratch()).map(name => `${name}, a dump that was unpacked`),
    ...(await leftMemoryFolders()).map(name => `${name}, credentials that were in use`),
    ...(await orphansAtWork()).map(program => `${program}, which still runs`),
  ];
}

/**
 * DESTROYS what killed operations have left, and finishes a backup of which only the manifest's name was missing. Only under the
 * lock. Never throws: what cannot be removed must not hold off a backup, and the status goes on to name it.
 */
export async function clearLeftovers(
  session: pg.Client,
  settings: AgentSettings,
  report: Reporter,
): Promise<void> {
  const steps = [
    () => endOrphans(session),
    () => finish(settings, report),
    () => removeLeftovers(settings.backupDir, settings.stack),
    () => removeIncoming(settings),
    () => dropLeftAtServer(session, settings),
    () => clearLeftPlaces(),
    () => removeAbandonedScratch(),
    () => clearLeftMemoryFolders(),
  ];
  for (const step of steps)
    await step().catch((error: Error) =>
      report.warn(`What a killed operation has left is still there: ${error.message}`),
    );
}

async function finish(settings: AgentSettings, report: Reporter): Promise<void> {
  for (const file of await finishPending(settings))
    report.info(`${file}, whose backup was killed, is whole; its manifest is written now`);
}

async function removeIncoming(settings: AgentSettings): Promise<void> {
  for (const name of await leftIncoming(settings)) await unlink(join(settings.backupDir, name));
}

/** Only with digits behind it: what begins like it may be of a stack `dev-two`. */
async function leftIncoming({ backupDir, stack }: AgentSettings): Promise<string[]> {
  const prefix = incomingPrefix(stack);
  return (await readdir(backupDir)).filter(
    name => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)),
  );
}

function incomingPrefix(stack: string): string {
  return `.incoming-${stack}-`;
}
