import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { newManifest } from "../backup/new-manifest.ts";
import { keepReserve, openPartial, requireSpace } from "../base/durable-file.ts";
import type { Reporter } from "../base/reporter.ts";
import { shownMoment } from "../base/shown-moment.ts";
import type { RestoreSource } from "../catalogue/backup-source.ts";
import { dump } from "../dump/pg-dump.ts";
import { backupName } from "../manifest/backup-name.ts";
import { withOptions } from "../server/client-programs.ts";
import { connectToMaintenance, databaseExists, readServerFacts } from "../server/connection.ts";
import { type ThrowawayPlace, withThrowawayPlace } from "../throwaway/place.ts";
import type { ThrowawayServer } from "../throwaway/server.ts";
import type { ChainSource } from "./chain-source.ts";
import { type Moment, RESTORE, type WithMoment } from "./moment.ts";
import { requireOwnVersion } from "./other-version.ts";
import { joinRanges, pickBase, type Recoverable, recoverables } from "./recoverable.ts";
import { targetOfMoment, withRecoveredServer } from "./recovery-server.ts";

/** A moment to go back to, and where its WAL is read. */
export interface Recovery {
  moment: Moment;
  source: ChainSource;
}

/**
 * Recovers the database as it was at a moment, in a throw-away server, and dumps it from there into a hidden file. That backup is
 * restored in the same way as every other one. Reads the chains and changes nothing in them. Throws a Stop.
 */
export async function recoverSource(
  settings: AgentSettings,
  { moment, source }: Recovery,
  report: Reporter,
): Promise<RestoreSource> {
  return withThrowawayPlace("recovery", `recovery since ${new Date().toISOString()}`, place =>
    withRecovered(settings, place, { moment, source }, report, (server, chosen, shown) =>
      dumpRecovered(settings, server, chosen, shown, report),
    ),
  );
}

/**
 * Runs `work` with a throw-away server in which the database is as it was at a moment. `command` is what was typed. Throws a Stop for a
 * moment that cannot be gone back to.
 */
export async function withRecovered<T>(
  settings: AgentSettings,
  place: ThrowawayPlace,
  { moment, source }: Recovery,
  report: Reporter,
  work: (server: ThrowawayServer, chosen: Recoverable, shown: string) => Promise<T>,
  command: WithMoment = RESTORE,
): Promise<T> {
  const all = recoverables(await source.list());
  const chosen = pickBase(all, moment.ms) ?? refuseMoment(all, moment, source, command);
  await requireOwnVersion(chosen);
  const shown = `${settings.database} as it was at ${shownMoment(moment.ms)}`;
  report.info(
    `Recovering ${shown} in a throw-away server, from the base backup ${chosen.base.name} and ${chosen.segments.length} segments of WAL in ${source.shown}`,
  );
  return withRecoveredServer(settings, place, source, chosen, targetOfMoment(moment), async server => {
    await requireDatabase(server, settings, shown);
    return work(server, chosen, shown);
  });
}

export function refuseMoment(
  all: readonly Recoverable[],
  { ms }: Moment,
  source: ChainSource,
  command: WithMoment,
): never {
  const ranges = joinRanges(all);
  const [first, last] = [ranges[0], ranges.at(-1)];
  if (!first || !last)
    throw new Stop(
      EXIT.unusableBackup,
      `There is no moment to go back to in ${source.shown}: no base backup there has its WAL.`,
      "`npx budgie status` says how it stands. Restore a backup instead: `npx budgie list` shows them.",
    );
  const before = ranges.findLast(({ until }) => until < ms);
  const after = ranges.find(({ from }) => from > ms);
  const inGap =
    before && after
      ? ` The WAL between ${shownMoment(before.until)} and ${shownMoment(after.from)} is missing.`
      : "";
  throw new Stop(
    EXIT.unusableBackup,
    `${shownMoment(ms)} cannot be gone back to: ${source.shown} reaches from ${shownMoment(first.from)} to ${shownMoment(last.until)}.${inGap}`,
    `For instance: ${command(shownMoment((before ?? last).until).replace(" UTC", "Z"))}`,
  );
}

async function dumpRecovered(
  settings: AgentSettings,
  server: ThrowawayServer,
  { base }: Recoverable,
  shown: string,
  report: Reporter,
): Promise<RestoreSource> {
  const facts = await readServerFacts(server.settings);
  const startedAt = new Date();
  await removeIncoming(settings);
  await requireSpace(settings.backupDir, settings.backupDirShown, facts.databaseBytes);
  const label = `${incoming(settings)}${startedAt.getTime()}`;
  const partial = await openPartial(settings.backupDir, settings.stack, label);
  const progress = report.progress("dumping", null);
  try {
    const stages = [keepReserve(settings.backupDir, settings.backupDirShown), partial.sink()];
    const client = withOptions(server.client, { client_encoding: facts.encoding });
    const dumping = { database: settings.database, client, signal: server.lost };
    const fingerprint = await dump(dumping, stages, bytes => progress.at(bytes));
    const { size } = await stat(partial.path);
    const recovered = newManifest(
      settings,
      {
        file: backupName(startedAt, "sql"),
        identity: "known",
        reason: "manual",
        globals: null,
        costliestRow: undefined,
        walPosition: undefined,
        // Of that moment nobody knows it.
        backendImage: null,
        startedAt,
      },
      { ...facts, systemIdentifier: base.systemIdentifier },
      { fingerprint, bytes: size, sha256: fingerprint.sha256, contentSha256: fingerprint.sha256 },
    );
    await partial.handle.close();
    return {
      name: shown,
      shown,
      path: partial.path,
      // The agent has just made it, so it needs no MAC to be authentic, and it is never written down.
      manifest: { ...recovered, mac: null },
      authentic: true,
      discard: () => unlink(partial.path).catch(() => undefined),
    };
  } catch (error) {
    await partial.discard();
    throw error;
  } finally {
    progress.end();
  }
}

async function requireDatabase(
  server: ThrowawayServer,
  { database }: AgentSettings,
  shown: string,
): Promise<void> {
  const session = await connectToMaintenance(server.settings, "budgie recovery");
  try {
    if (await databaseExists(session, database)) return;
  } finally {
    await session.end();
  }
  throw new Stop(
    EXIT.unusableBackup,
    `${shown}: at that moment there was no database ${database}.`,
    "Name another moment.",
  );
}

function incoming({ stack }: AgentSettings): string {
  return `recovered-${stack}-`;
}

/** Removes what an earlier, killed recovery has left. Only under the lock: then it is nobody's. */
async function removeIncoming(settings: AgentSettings): Promise<void> {
  const prefix = `.partial-${settings.stack}-${incoming(settings)}`;
  for (const name of await readdir(settings.backupDir))
    if (name.startsWith(prefix)) await unlink(join(settings.backupDir, name));
}
