import type pg from "pg";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { RESERVED_BYTES } from "../../shared/reserved-bytes.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { inDatabase, majorVersion, type ServerFacts } from "../server/connection.ts";
import { serverFreeBytes } from "../server/free-bytes.ts";
import { heldIn } from "./emptiness.ts";
import type { Target } from "./target.ts";

/** What the source is, as far as the target must be like it. */
export interface Needed extends ServerFacts {
  /** `UTF8` */
  serverEncoding: string;
  /** What sorts its texts: `c en_US.utf8 en_US.utf8`. */
  sorting: string;
  /** Tables whose policies hold for their owner, too. */
  forced: string[];
}

/** How the database goes over. */
export interface Fit {
  /** Whether everything belongs to whom it belongs here; else to the role that loads it. */
  withOwners: boolean;
  /** Whether there is a database of that name, which is empty and set aside. */
  exists: boolean;
}

interface Role {
  version: string;
  superuser: boolean;
  mayCreate: boolean;
  seesAllRows: boolean;
  standby: boolean;
  missing: string[];
}

const NEXT = "Then run the same command again.";

/** Throws a Stop for a target that does not fit, or that holds anything. Changes nothing there. */
export async function requireFit(
  session: pg.Client,
  { shown, settings }: Target,
  needed: Needed,
  report: Reporter,
): Promise<Fit> {
  const role = await readRole(session, needed.roles);
  requireServer(shown, settings.user, role, needed);
  await requireExtensions(session, shown, needed);
  const exists = await requireDatabase(session, { shown, settings }, role, needed, report);
  await requireSpace(session, shown, needed, report);
  const withOwners = role.superuser && role.missing.length === 0;
  if (!withOwners) {
    const why = role.superuser
      ? `it lacks the roles ${role.missing.join(", ")}`
      : `${settings.user} is no superuser there`;
    report.warn(`Owners and grants are left out, because ${why}: everything will belong to ${settings.user}`);
    if (!role.seesAllRows) requireNoForcedPolicies(needed, settings.user, shown);
  }
  return { withOwners, exists };
}

async function readRole(session: pg.Client, roles: readonly string[]): Promise<Role> {
  const { rows } = await session.query<Role>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version, rolsuper AS superuser,
            rolsuper OR rolcreatedb AS "mayCreate", rolsuper OR rolbypassrls AS "seesAllRows", pg_is_in_recovery() AS standby,
            ARRAY(SELECT unnest($1::text[]) EXCEPT SELECT rolname::text FROM pg_roles ORDER BY 1) AS missing
       FROM pg_roles WHERE rolname = current_user`,
    [roles],
  );
  if (!rows[0]) throw new Error("the server did not say who is connected");
  return rows[0];
}

function requireServer(shown: string, user: string, role: Role, { serverVersion }: Needed): void {
  if (role.standby)
    throw new Stop(
      EXIT.usage,
      `${shown} is on a standby, which takes no writes. Nothing was changed.`,
      "Name its primary.",
    );
  if (majorVersion(role.version) !== majorVersion(serverVersion))
    throw new Stop(
      EXIT.usage,
      `${shown} is on PostgreSQL ${role.version}, and this stack's database is on ${serverVersion}: what is moved could not be compared there. Nothing was changed.`,
      `Name a server of PostgreSQL ${majorVersion(serverVersion)}. It can be upgraded afterwards.`,
    );
  if (!role.mayCreate)
    throw new Stop(
      EXIT.usage,
      `${user} may make no database at ${shown}, so nothing could be loaded beside and compared before it gets its name. Nothing was changed.`,
      `Let it, as a role that may: ALTER ROLE "${user}" CREATEDB; ${NEXT}`,
    );
}

async function requireExtensions(session: pg.Client, shown: string, { extensions }: Needed): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    "SELECT unnest($1::text[]) AS name EXCEPT SELECT name::text FROM pg_available_extensions ORDER BY 1",
    [extensions.map(({ name }) => name)],
  );
  if (rows.length === 0) return;
  throw new Stop(
    EXIT.usage,
    `${shown} lacks extensions that the database needs: ${rows.map(({ name }) => name).join(", ")}. Nothing was changed.`,
    `Have them installed there, or drop them here if nothing uses them. ${NEXT}`,
  );
}

async function requireDatabase(
  session: pg.Client,
  { shown, settings }: Target,
  { superuser }: Role,
  needed: Needed,
  report: Reporter,
): Promise<boolean> {
  const { database, user } = settings;
  const { rows } = await session.query<{
    encoding: string;
    owner: string;
    member: boolean;
    sorting: string;
    connects: boolean;
  }>(
    `SELECT pg_encoding_to_char(encoding) AS encoding, pg_get_userbyid(datdba) AS owner,
            pg_has_role(datdba, 'MEMBER') AS member, ${SORTING} AS sorting, datallowconn AS connects
       FROM pg_database d WHERE datname = $1`,
    [database],
  );
  const [found] = rows;
  if (!found) {
    report.info(`There is no database ${database} at ${shown} yet; it is made like the one here`);
    return false;
  }
  if (found.encoding !== needed.serverEncoding)
    throw new Stop(
      EXIT.usage,
      `${shown} has the encoding ${found.encoding}, and the database here has ${needed.serverEncoding}. Nothing was changed.`,
      `Make it anew there: DROP DATABASE ${database}; CREATE DATABASE ${database} ENCODING '${needed.serverEncoding}' TEMPLATE template0; ${NEXT}`,
    );
  if (!superuser && !found.member)
    throw new Stop(
      EXIT.usage,
      `${shown} belongs to ${found.owner}, and ${user} may not rename it. Nothing was changed.`,
      `Connect as ${found.owner}, or give it away there: ALTER DATABASE ${database} OWNER TO "${user}"; ${NEXT}`,
    );
  await requireEmpty({ shown, settings });
  if (found.sorting !== needed.sorting)
    report.warn(
      `${shown} sorts texts in another way (${found.sorting}) than the database here (${needed.sorting}); its indexes are built there, so they are right`,
    );
  return true;
}

/** How a row of pg_database says what sorts its texts, whatever the major version calls it. */
export const SORTING = `concat_ws(' ', to_jsonb(d)->>'datlocprovider', datcollate, datctype,
                 coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'))`;

/** INVARIANT: nothing is ever moved over a row. Asked before anything else, and again right before the database gets its name. */
export async function requireEmpty({ shown, settings }: Target): Promise<void> {
  const held = await inDatabase(settings, settings.database, "budgie migrate", session =>
    heldIn(session).catch(
      (error: Error) => `tables that ${settings.user} cannot look into (${error.message})`,
    ),
  );
  if (held === null) return;
  throw new Stop(
    EXIT.notConfirmed,
    `${shown} is not empty: it holds ${held}. Nothing was changed there.`,
    `Name another database, which need not exist. If nobody needs what is in this one, rename it there, by a connection to another database: ALTER DATABASE ${settings.database} RENAME TO ${settings.database}_old;`,
  );
}

async function requireSpace(
  session: pg.Client,
  shown: string,
  { databaseBytes }: Needed,
  report: Reporter,
): Promise<void> {
  const needed = Math.ceil(databaseBytes * 1.1) + RESERVED_BYTES;
  const free = await serverFreeBytes(session);
  if (free === null)
    return report.warn(
      `${shown} does not say how much space it has left; about ${humanSize(needed)} are needed. A disk that fills up ends the move, and nothing is lost`,
    );
  if (free >= needed) return;
  throw new Stop(
    EXIT.noSpace,
    `Not enough space at ${shown}: about ${humanSize(needed)} are needed, ${humanSize(free)} are free. Nothing was changed.`,
    `Give it more. ${NEXT}`,
  );
}

/** Whoever loads reads every row back. A policy that is forced on owners, too, would hide some. */
function requireNoForcedPolicies({ forced }: Needed, user: string, shown: string): void {
  if (forced.length === 0) return;
  throw new Stop(
    EXIT.usage,
    `${forced.join(", ")} have row security that is forced on their owner, so ${user} could not read back at ${shown} what it loads. Nothing was changed.`,
    `Move it with a role that has BYPASSRLS, or take the force away first: ALTER TABLE … NO FORCE ROW LEVEL SECURITY. ${NEXT}`,
  );
}
