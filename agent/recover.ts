import { createHash } from "node:crypto";
import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { backupName } from "./backup-name.ts";
import type { ChainSource } from "./chain-source.ts";
import { dump } from "./dump.ts";
import { keepReserve, openPartial, requireSpace } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { Manifest } from "./manifest.ts";
import type { Moment } from "./moment.ts";
import { joinRanges, pickBase, type Recoverable, recoverables } from "./recoverable.ts";
import { withRecoveredServer } from "./recovery-server.ts";
import type { Reporter } from "./reporter.ts";
import type { RestoreSource } from "./restore-source.ts";
import { connectToMaintenance, databaseExists, readServerFacts } from "./server.ts";
import type { AgentSettings } from "./settings.ts";
import { shownMoment } from "./shown-moment.ts";
import { withThrowawayPlace } from "./throwaway-place.ts";
import type { ThrowawayServer } from "./throwaway-server.ts";

/** A moment to go back to, and where its WAL is read. */
export interface Recovery {
  moment: Moment;
  source: ChainSource;
}

/**
 * Recovers the database as it was at a moment, in a throw-away server, and dumps it from there into a hidden file: a backup that
 * goes through the same door as every other one. Reads the chains and changes nothing in them. Throws a Stop.
 */
export async function recoverSource(
  settings: AgentSettings,
  { moment, source }: Recovery,
  report: Reporter,
): Promise<RestoreSource> {
  const all = recoverables(await source.list());
  const chosen = pickBase(all, moment.ms) ?? refuseMoment(all, moment, source);
  const shown = `${settings.database} as it was at ${shownMoment(moment.ms)}`;
  report.info(
    `Recovering ${shown} in a throw-away server, from the base backup ${chosen.base.name} and ${chosen.segments.length} segments of WAL in ${source.shown}`,
  );
  return withThrowawayPlace("recovery", `recovery since ${new Date().toISOString()}`, place =>
    withRecoveredServer(settings, place, source, chosen, moment, server =>
      dumpRecovered(settings, server, chosen, shown, report),
    ),
  );
}

function refuseMoment(all: readonly Recoverable[], { ms }: Moment, source: ChainSource): never {
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
    `For instance: npx budgie restore --at "${shownMoment((before ?? last).until).replace(" UTC", "Z")}"`,
  );
}

async function dumpRecovered(
  settings: AgentSettings,
  server: ThrowawayServer,
  { base }: Recoverable,
  shown: string,
  report: Reporter,
): Promise<RestoreSource> {
  await requireDatabase(server, settings, shown);
  const facts = await readServerFacts(server.settings);
  const startedAt = new Date();
  await removeIncoming(settings);
  await requireSpace(settings.backupDir, settings.backupDirShown, facts.databaseBytes);
  const label = `${incoming(settings)}${startedAt.getTime()}`;
  const partial = await openPartial(settings.backupDir, settings.stack, label);
  const progress = report.progress("dumping", null);
  const sha256 = createHash("sha256");
  const hash = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      sha256.update(chunk);
      next(null, chunk);
    },
  });
  try {
    const stages = [hash, keepReserve(settings.backupDir, settings.backupDirShown), partial.sink()];
    const fingerprint = await dump(
      settings.database,
      stages,
      server.lost,
      bytes => progress.at(bytes),
      server.client,
    );
    const { size } = await stat(partial.path);
    const manifest: Manifest = {
      format: 1,
      file: backupName(startedAt, "sql"),
      stack: settings.stack,
      database: settings.database,
      systemIdentifier: base.systemIdentifier,
      identity: "known",
      serverVersion: facts.serverVersion,
      pgDumpVersion: fingerprint.pgDumpVersion ?? "unknown",
      reason: "manual",
      startedAt: startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      bytes: size,
      sha256: sha256.digest("hex"),
      contentBytes: fingerprint.bytes,
      contentSha256: fingerprint.sha256,
      schemaSha256: fingerprint.schemaSha256,
      databaseBytes: facts.databaseBytes,
      roles: facts.roles,
      extensions: facts.extensions,
      tables: fingerprint.tables,
      globals: null,
      offsite: null,
      offsiteSsh: null,
    };
    await partial.handle.close();
    return {
      name: shown,
      shown,
      path: partial.path,
      manifest,
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

/** Under the lock, so what an earlier, killed recovery left there is nobody's. */
async function removeIncoming(settings: AgentSettings): Promise<void> {
  const prefix = `.partial-${settings.stack}-${incoming(settings)}`;
  for (const name of await readdir(settings.backupDir))
    if (name.startsWith(prefix)) await unlink(join(settings.backupDir, name));
}
