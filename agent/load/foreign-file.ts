import { randomBytes } from "node:crypto";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, type RunAs, startReader } from "../base/child-process.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import type { RestoreSource } from "../catalogue/backup-source.ts";
import type { TakePart } from "../dump/parts.ts";
import { failureOf, pgDumpArguments, requireGoodEnd } from "../dump/pg-dump.ts";
import { drillMemory } from "../memory/limits.ts";
import { planLoad } from "../memory/need.ts";
import { withOptions } from "../server/client-programs.ts";
import { connect, connectToMaintenance, readServerFacts } from "../server/connection.ts";
import { sessionOptions } from "../server/session-settings.ts";
import {
  createLike,
  FIRST_SUPERUSER,
  nameSuperuser,
  readLikeness,
  type ServerLikeness,
} from "../throwaway/empty-cluster.ts";
import { unpackCluster } from "../throwaway/packed-cluster.ts";
import { type ThrowawayPlace, withThrowawayPlace } from "../throwaway/place.ts";
import { runThrowawayServer, type ServerPlan, type ThrowawayServer } from "../throwaway/server.ts";
import { createRoles } from "./fitting-server.ts";
import { inSeveralBlocks, type KnownDump, requireSameDump, sqlOfFile } from "./known-dump.ts";
import { type EmptyDatabase, type LoadedDump, loadDump, whatWasLeftOut } from "./load-and-compare.ts";
import type { ReadDumpSql } from "./load-sql.ts";

const { escapeIdentifier } = pg;

/** The role that loads in the throw-away server. It may do nothing but make things in one database. */
const LOADER = "foreign_loader";
const DATABASE = "brought";
const READY_WITHIN_MS = 60_000;
const SETTLED = "pg_hba.conf";
const MAPPED = "pg_ident.conf";

/** How much a file brought along that can act by itself. */
export interface Brought {
  functions: number;
  triggers: number;
}

/** What PostgreSQL says to a role that lacks a right. */
const NEEDS_MORE =
  /permission denied|must be (?:a )?(?:superuser|owner)|Must be superuser|requires? superuser|must have/i;

/**
 * Runs `work` with the content of a file that this stack did not write, as pg_dump reads it out of a throw-away server, without owners
 * and grants. The file itself is loaded there, by a role that may not touch the machine. That server's user can read neither a
 * secret nor a backup, and knows no password of the live server. So a file can fill a database, and do nothing else.
 *
 * Throws a Stop for a file that does not load in this way.
 */
export function withForeignContent<T>(
  settings: AgentSettings,
  source: RestoreSource,
  known: KnownDump,
  report: Reporter,
  work: (read: ReadDumpSql, brought: Brought) => Promise<T>,
): Promise<T> {
  return withThrowawayPlace(
    "foreign-file",
    `loading a file since ${new Date().toISOString()}`,
    async place => {
      const order = planLoad(await drillMemory(settings), known.longestRow, { safetyBackupAlongside: false });
      const loading = { atOnce: order === "at once", inSeveralBlocks: inSeveralBlocks(known) };
      const likeness = await readLikeness(settings);
      const live = await liveRoles(settings);
      const superuser = `agent_${randomBytes(8).toString("hex")}`;
      const plan = planFor(place, known, likeness, superuser);
      return runThrowawayServer(settings, place, plan, async server => {
        await prepare(server, place, likeness, [
          ...new Set([...live, ...(known.read?.fingerprint.roles ?? [])]),
        ]);
        if (known.read?.converted)
          report.warn(`${source.shown} had the line ends of Windows, which are taken out`);
        const client = loaderOf(server);
        const loaded = await load(server, client, source, loading, report);
        await requireSameDump(loaded, { ...source, manifest: null }, known.read);
        requireCounted(loaded, source, report);
        for (const line of whatWasLeftOut(loaded)) report.warn(line);
        const brought = await whatCame(server, source, live);
        const { encoding } = await readServerFacts({ ...server.settings, database: DATABASE });
        const dumping = withOptions(client, { client_encoding: encoding });
        return work(take => readOut(dumping, server.lost, take), brought);
      });
    },
  );
}

function planFor(
  place: ThrowawayPlace,
  { contentBytes }: KnownDump,
  likeness: ServerLikeness,
  superuser: string,
): ServerPlan {
  return {
    superuser,
    // Indexes and row headers about double what a plain dump takes.
    bytes: contentBytes * 2,
    fill: async (directory, runAs, signal) => {
      await unpackCluster(directory, runAs, signal);
      // A hole in the server would give a file the rights of the server's own user. That user is let in only as the loader.
      await give(place, SETTLED, "local all all peer map=agent\n");
      await give(
        place,
        MAPPED,
        `agent root ${FIRST_SUPERUSER}\nagent root ${superuser}\nagent postgres ${LOADER}\n`,
      );
    },
    parameters: {
      ...likeness.parameters,
      hba_file: join(place.directory, SETTLED),
      ident_file: join(place.directory, MAPPED),
    },
    readyWithinMs: READY_WITHIN_MS,
  };
}

async function give({ directory, postgres }: ThrowawayPlace, name: string, text: string): Promise<void> {
  const path = join(directory, name);
  await writeFile(path, text, { mode: 0o400 });
  await chown(path, postgres.uid, postgres.gid);
}

async function liveRoles(settings: AgentSettings): Promise<string[]> {
  const session = await connectToMaintenance(settings, "budgie restore");
  try {
    const { rows } = await session.query<{ name: string }>(
      "SELECT rolname::text AS name FROM pg_roles WHERE rolname !~ '^pg_'",
    );
    return rows.map(({ name }) => name);
  } finally {
    await session.end();
  }
}

/** PostgreSQL's own roles. Some of them may run programs, and read and write the server's files. And words that name no role. */
const PREDEFINED = /^(?:pg_|public$|none$)/;

/**
 * Makes every role that the file may name. None of them may do anything but own things. The loader goes on using what the file
 * gives to one of them. Who owns what does not matter, because owners and grants are left behind here. A role of PostgreSQL's own
 * is there already: the loader never becomes one, whatever the file says.
 */
async function prepare(
  { settings }: ThrowawayServer,
  place: ThrowawayPlace,
  likeness: ServerLikeness,
  roles: readonly string[],
): Promise<void> {
  const names = roles.filter(name => name !== LOADER && !PREDEFINED.test(name));
  await nameSuperuser(settings);
  const session = await connectToMaintenance(settings, "budgie restore");
  try {
    await session.query(`CREATE ROLE ${LOADER} LOGIN BYPASSRLS`);
    await createLike(session, place, likeness, names, DATABASE);
    for (const name of names) await session.query(`GRANT ${escapeIdentifier(name)} TO ${LOADER}`);
    await session.query(`ALTER DATABASE ${DATABASE} OWNER TO ${LOADER}`);
    await session.query(`GRANT ALL ON DATABASE ${DATABASE} TO PUBLIC`);
  } finally {
    await session.end();
  }
  const inside = await connect(settings, DATABASE);
  try {
    await inside.query("GRANT ALL ON SCHEMA public TO PUBLIC");
    await inside.query(`ALTER DEFAULT PRIVILEGES FOR ROLE ${LOADER} GRANT ALL ON SCHEMAS TO PUBLIC`);
    // Dumps of older versions have a comment on the language that every database has.
    await inside.query(`UPDATE pg_extension SET extowner = '${LOADER}'::regrole`);
  } finally {
    await inside.end();
  }
}

function loaderOf({ client }: ThrowawayServer): RunAs {
  return { ...client, env: { ...client.env, PGUSER: LOADER, PGOPTIONS: sessionOptions("ordinary") } };
}

async function load(
  server: ThrowawayServer,
  client: RunAs,
  { path, shown }: RestoreSource,
  loading: Pick<EmptyDatabase, "atOnce" | "inSeveralBlocks">,
  report: Reporter,
): Promise<LoadedDump> {
  const progress = report.progress("loading aside", null);
  const read = await sqlOfFile(path, shown, { progress, signal: server.lost, withoutOwners: true });
  const loaded = await loadDump(read, {
    settings: server.settings,
    name: DATABASE,
    client,
    reader: client,
    signal: server.lost,
    withoutOwners: true,
    lcMonetary: null,
    ...loading,
    another: () => Promise.reject(new Error("nothing is compared with this database's schema")),
  }).finally(() => progress.end());
  if (loaded.end.code === 0) return loaded;
  const trouble = await server.trouble();
  if (trouble !== null)
    throw new Stop(EXIT.failed, `${shown} could not be loaded: ${trouble}.`, "Run the same command again.");
  const how = `psql ended with ${describeEnd(loaded.end)}`;
  if (NEEDS_MORE.test(loaded.end.errors)) {
    throw refuse(
      `${shown} was not written by this stack, and wants to do what only a superuser may; ${how}`,
      "If you know where the file comes from and what it does, load it with all rights: the same command with --trust-file",
    );
  }
  throw new Stop(EXIT.failed, `${shown} does not load; ${how}.`, "Use another file, or mend this one.");
}

/** The file may have been written under other settings, so its text need not be the server's. But psql must have read as many rows. */
function requireCounted(loaded: LoadedDump, { shown }: RestoreSource, report: Reporter): void {
  if (loaded.miscounted.length > 0)
    throw new Stop(
      EXIT.comparisonDiffers,
      `What was loaded is not what ${shown} holds: ${loaded.miscounted.join("; ")}.`,
      "Make the file anew with pg_dump.",
    );
  const counted = [...loaded.changed, ...loaded.notReadable];
  if (counted.length > 0)
    report.warn(`Counted, and not compared with the file's own text: ${counted.join(", ")}`);
}

async function whatCame(
  { settings }: ThrowawayServer,
  { shown }: RestoreSource,
  live: readonly string[],
): Promise<Brought> {
  const session = await connect(settings, DATABASE);
  try {
    const { rows } = await session.query<Brought & { policyRoles: string[] }>(
      `WITH own AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
       SELECT (SELECT count(*)::int FROM pg_proc p WHERE pronamespace IN (SELECT oid FROM own)
                 AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')) AS functions,
              (SELECT count(*)::int FROM pg_trigger WHERE NOT tgisinternal) AS triggers,
              ARRAY(SELECT DISTINCT rolname::text FROM pg_policy, unnest(polroles) AS role JOIN pg_roles r ON r.oid = role
                     ORDER BY 1) AS "policyRoles"`,
    );
    const { functions = 0, triggers = 0, policyRoles = [] } = rows[0] ?? {};
    const missing = policyRoles.filter(role => !live.includes(role));
    if (missing.length > 0)
      throw refuse(
        `${shown} has policies for roles that this server does not have: ${missing.join(", ")}`,
        `Make them first, in \`npx budgie psql\`: ${createRoles(missing)}`,
      );
    return { functions, triggers };
  } finally {
    await session.end();
  }
}

async function readOut(client: RunAs, signal: AbortSignal, take: TakePart): Promise<null> {
  const args = pgDumpArguments(DATABASE, [
    "--format=plain",
    "--no-owner",
    "--no-privileges",
    "--no-subscriptions",
  ]);
  const started = startReader("pg_dump", args, "pipe", signal, client);
  const failure = await failureOf(
    (async () => {
      for await (const part of started.output) await take(part);
    })(),
  );
  await requireGoodEnd({ database: "what was loaded", signal }, started, failure);
  return null;
}
