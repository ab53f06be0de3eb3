import { Writable } from "node:stream";
import type { BackupSource } from "./backup-source.ts";
import { describeEnd } from "./child-process.ts";
import { compareDumps } from "./compare.ts";
import { dump } from "./dump.ts";
import { inspectDump, type ReadDump, requireWhole } from "./dump-file.ts";
import { createLike, initializeCluster, readLikeness, type ServerLikeness } from "./empty-cluster.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { requireExtensions, requireSameMajor } from "./fitting-server.ts";
import { loadDump } from "./load-dump.ts";
import type { Manifest } from "./manifest.ts";
import type { Reporter } from "./reporter.ts";
import { connect, connectToMaintenance } from "./server.ts";
import type { AgentSettings } from "./settings.ts";
import type { ThrowawayPlace } from "./throwaway-place.ts";
import { runThrowawayServer, type ServerPlan, type ThrowawayServer } from "./throwaway-server.ts";

/** A dump that can be tried: one with a record to compare it with. */
export interface DrillSource extends BackupSource {
  /** The path as the operator knows it. */
  shown: string;
  manifest: Manifest;
}

export interface Verdict {
  outcome: "good" | "bad";
  /** What is wrong with it; null when it is good. */
  why: string | null;
}

/** The database that a backup is loaded into. No dump says the name of the one that it came from. */
const DATABASE = "drill";
const READY_WITHIN_MS = 60_000;
/**
 * The exit code for an error in what was loaded. psql's others are about itself or its connection; pg_restore has no other,
 * so there the server's log, and whether it is still there, tell the two apart.
 */
const SCRIPT_ERROR = { psql: 3, pg_restore: 1 };
const SHOWN_DIFFERENCES = 5;

/** Something was learnt about the backup, and it is not good. Whatever else ends a trial says nothing of the backup. */
class BadBackup extends Error {}

/**
 * Loads a dump into a throw-away server, dumps that, and compares with the manifest, byte for byte. The server is as much
 * like the stack's own as it must be. Records nothing. Throws a Stop when it does not come to a verdict.
 */
export async function tryBackup(
  settings: AgentSettings,
  place: ThrowawayPlace,
  source: DrillSource,
  report: Reporter,
): Promise<Verdict> {
  try {
    report.info(`Step 1/4: reading ${source.shown}`);
    const read = await readWhole(source, report);
    report.info("Step 2/4: starting a throw-away server");
    const likeness = await readLikeness(settings);
    await runThrowawayServer(settings, place, planFor(settings, source, likeness), async server => {
      await prepare(server, place, source, likeness, read);
      report.info("Step 3/4: loading the backup into it");
      await load(server, source, read, report);
      report.info("Step 4/4: dumping it again, and comparing every byte with what was recorded");
      await compare(server, source, report);
    });
    return { outcome: "good", why: null };
  } catch (error) {
    if (!(error instanceof BadBackup)) throw error;
    return { outcome: "bad", why: error.message };
  }
}

async function readWhole({ path, shown, manifest }: DrillSource, report: Reporter): Promise<ReadDump> {
  const progress = report.progress("reading", manifest.bytes);
  try {
    return await heldAgainstIt(async () => {
      const read = await inspectDump(path, shown, progress);
      requireWhole(read, shown, manifest);
      return read;
    });
  } catch (error) {
    throw error instanceof BadBackup || error instanceof Stop ? error : unreadable(shown, error as Error);
  } finally {
    progress.end();
  }
}

function planFor(settings: AgentSettings, { manifest }: DrillSource, likeness: ServerLikeness): ServerPlan {
  return {
    superuser: settings.user,
    // Sorting for its indexes takes some more than the database itself.
    bytes: Math.ceil(manifest.databaseBytes * 1.2),
    fill: (directory, runAs, signal) => initializeCluster(directory, settings.user, runAs, signal),
    parameters: likeness.parameters,
    readyWithinMs: READY_WITHIN_MS,
  };
}

/** What the backup expects to be there. A backup of another major version is not bad: it cannot be tried here. */
async function prepare(
  { settings }: ThrowawayServer,
  place: ThrowawayPlace,
  source: DrillSource,
  likeness: ServerLikeness,
  { fingerprint }: ReadDump,
): Promise<void> {
  const session = await connectToMaintenance(settings, "budgie drill");
  try {
    const { rows } = await session.query<{ server_version: string }>("SHOW server_version");
    requireSameMajor(source, fingerprint, rows[0]?.server_version ?? "unknown");
    await heldAgainstIt(() => requireExtensions(session, source));
    await createLike(session, place, likeness, source.manifest.roles, DATABASE);
  } finally {
    await session.end();
  }
}

async function load(
  server: ThrowawayServer,
  { path, shown }: DrillSource,
  before: ReadDump,
  report: Reporter,
): Promise<void> {
  const progress = report.progress("loading", before.bytes);
  const options = { database: DATABASE, jobs: 1, signal: server.lost, runAs: server.client };
  const { program, fed, end } = await loadDump(path, shown, options, progress).finally(() => progress.end());
  if (end.code !== 0) {
    const trouble = await server.trouble();
    if (end.code === SCRIPT_ERROR[program] && trouble === null)
      throw new BadBackup(`it does not load; ${program} ended with ${describeEnd(end)}`);
    throw new Stop(
      EXIT.failed,
      `${shown} could not be tried: ${trouble ?? `${program} ended with ${describeEnd(end)}`}.`,
      "Run the same command again; nothing is known about the backup yet.",
    );
  }
  if (fed instanceof Error) throw unreadable(shown, fed);
  if (fed !== before.sha256)
    throw new Stop(EXIT.failed, `${shown} changed while it was being read.`, "Run the same command again.");
}

async function compare(
  server: ThrowawayServer,
  { shown, manifest }: DrillSource,
  report: Reporter,
): Promise<void> {
  const progress = report.progress("comparing", manifest.contentBytes);
  const nowhere = new Writable({ write: (_chunk, _encoding, next) => next() });
  const restored = await dump(
    DATABASE,
    [nowhere],
    server.lost,
    bytes => progress.at(bytes),
    server.client,
  ).finally(() => progress.end());
  const { differences, notCompared } = compareDumps(manifest, restored, true);
  const missing = await missingExtensions(server, manifest);
  const all = [...missing.map(name => `the extension ${name} is missing`), ...differences];
  if (all.length > 0)
    throw new BadBackup(`what was restored is not what its manifest recorded: ${firstOf(all)}`);
  if (notCompared.length > 0) {
    throw new Stop(
      EXIT.failed,
      `${shown} is neither proven nor bad: not compared were ${notCompared.join("; ")}.`,
      "Take a new backup with `npx budgie backup`, and drill that one.",
    );
  }
}

async function missingExtensions({ settings }: ThrowawayServer, manifest: Manifest): Promise<string[]> {
  const session = await connect(settings, DATABASE);
  try {
    const { rows } = await session.query<{ name: string }>(
      "SELECT unnest($1::text[]) AS name EXCEPT SELECT extname::text FROM pg_extension ORDER BY 1",
      [manifest.extensions.map(({ name }) => name)],
    );
    return rows.map(({ name }) => name);
  } finally {
    await session.end();
  }
}

/** A refusal within `work` is one of the backup, and not of the circumstances. */
async function heldAgainstIt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    throw new BadBackup(error.message.replace(/\.$/, ""));
  }
}

function unreadable(shown: string, error: Error): Stop {
  return new Stop(
    EXIT.failed,
    `${shown} could not be read: ${error.message}.`,
    "Run the same command again.",
  );
}

function firstOf(differences: readonly string[]): string {
  const rest = differences.length - SHOWN_DIFFERENCES;
  const shown = differences.slice(0, SHOWN_DIFFERENCES).join("; ");
  return rest > 0 ? `${shown}; and ${rest} more` : shown;
}
