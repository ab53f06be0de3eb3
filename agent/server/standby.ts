import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings, StandbySettings } from "../../shared/agent-settings.ts";
import { END_OF_WAL } from "../../shared/end-of-wal.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { TLS_FILES } from "../../shared/replica-access.ts";
import { withMemoryFolder } from "../base/memory-folder.ts";
import type { Reporter } from "../base/reporter.ts";
import { lostSecretFile } from "../base/secret-files.ts";
import { answerWithin } from "../base/until.ts";
import { connectToMaintenance } from "./connection.ts";
import type { Elsewhere, Reached } from "./elsewhere.ts";
import { NOBODY } from "./nobody.ts";

const CAUGHT_UP_WITHIN_MS = 60_000;
const LOOK_AGAIN_MS = 200;

/**
 * Reads through the standby that the settings name, or else from the database itself, where there is none, where it is of no use now, or
 * where reading it failed.
 *
 * INVARIANT: what `work` reads holds all that was committed before it began, and is of the stack's own database.
 */
export async function throughStandby<T>(
  settings: AgentSettings,
  signal: AbortSignal,
  report: Reporter,
  work: (from: Reached) => Promise<T>,
): Promise<T> {
  const { standby } = settings;
  if (standby === null) return work(settings);
  const state = await stateOf(settings);
  try {
    return await withCredentials(standby, async elsewhere => {
      const from = { ...settings, host: standby.host, port: standby.port, elsewhere };
      await requireCaughtUp(from, state, signal);
      report.info(`Reading from the replica at ${standby.host}`);
      return work(from);
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!isOfStandby(error)) throw error;
    report.warn(
      `The replica at ${standby.host} could not be read, so the database itself is: ${(error as Error).message.replace(/\.$/, "")}`,
    );
    return work(settings);
  }
}

/** Why the standby is of no use now. */
class NotOfUse extends Error {}

/** Whatever is wrong with the disk or the backup directory would be wrong again. */
function isOfStandby(error: unknown): boolean {
  if (error instanceof Stop) return error.code === EXIT.failed || error.code === EXIT.databaseUnreachable;
  return error instanceof NotOfUse;
}

/** With files that psql, pg_dump and pg_restore can read, for as long as `work` lasts. */
async function withCredentials<T>(
  { tlsFolder }: StandbySettings,
  work: (elsewhere: Elsewhere) => Promise<T>,
): Promise<T> {
  const read = async (kind: keyof typeof TLS_FILES) => {
    const path = join(tlsFolder, TLS_FILES[kind]);
    return readFile(path, "utf8").catch(error => {
      throw lostSecretFile(path) ?? error;
    });
  };
  const [root, certificate, key] = await Promise.all([read("authority"), read("certificate"), read("key")]);
  const files = { [TLS_FILES.authority]: root, [TLS_FILES.certificate]: certificate, [TLS_FILES.key]: key };
  return withMemoryFolder(NOBODY, files, folder => {
    const file = (kind: keyof typeof TLS_FILES) => join(folder, TLS_FILES[kind]);
    return work({
      password: null,
      rights: "superuser",
      // The stack's own authority vouches for its machines and for nobody else.
      sslMode: "verify-ca",
      root,
      rootFile: file("authority"),
      client: { certificate, key, certificateFile: file("certificate"), keyFile: file("key") },
    });
  });
}

/** Which database it is, and where its WAL ends. */
interface State {
  identity: string;
  end: string;
}

async function stateOf(settings: AgentSettings): Promise<State> {
  return ask<State>(
    settings,
    `SELECT system_identifier::text AS identity, ${END_OF_WAL}::text AS end FROM pg_control_system()`,
  );
}

/** Throws unless it follows the very database, and has soon replayed all that was in that. */
async function requireCaughtUp(from: Reached, { identity, end }: State, signal: AbortSignal): Promise<void> {
  const isThere = async () => {
    const now = await ask<{ identity: string; follows: boolean; there: boolean | null }>(
      from,
      `SELECT system_identifier::text AS identity, pg_is_in_recovery() AS follows,
              pg_last_wal_replay_lsn() >= '${end}' AS there FROM pg_control_system()`,
    );
    if (now.identity !== identity) throw new NotOfUse("it holds another database");
    if (!now.follows) throw new NotOfUse("it follows no database any more");
    return now.there || null;
  };
  if (await answerWithin(CAUGHT_UP_WITHIN_MS, isThere, LOOK_AGAIN_MS, signal)) return;
  throw new NotOfUse(`it is not up to date ${CAUGHT_UP_WITHIN_MS / 1000} seconds later (npx budgie status)`);
}

async function ask<Row extends object>(settings: Reached, sql: string): Promise<Row> {
  const session = await connectToMaintenance(settings, "budgie standby");
  try {
    const { rows } = await session.query<Row>(sql);
    return rows[0] as Row;
  } finally {
    await session.end();
  }
}
