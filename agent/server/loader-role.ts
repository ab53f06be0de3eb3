import { randomBytes } from "node:crypto";
import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { scramVerifier } from "../../shared/scram.ts";
import type { Login } from "./client-programs.ts";
import { connect } from "./connection.ts";

const { escapeIdentifier } = pg;

/** The name is reserved: a role under it is a restore's leftover. */
export const LOADER = "budgie_loader";

/**
 * Makes a role that can fill a database of its own and has no other right, with a password that is used once. Only under the lock,
 * and once the candidates of killed restores are gone: they belong to it. REMOVES the role that a killed restore left behind.
 */
export async function createLoader(session: pg.Client): Promise<Login> {
  const password = randomBytes(24).toString("hex");
  await dropLoader(session);
  await session.query(
    `CREATE ROLE ${LOADER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '${scramVerifier(password)}'`,
  );
  // A superuser may give anything to anybody. Another role must be a member to make the loader's database and to take it over, and may
  // be one, because it has made the loader. The loader gets no right by that.
  await session.query(
    `DO $do$ BEGIN
       IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
         EXECUTE format('GRANT ${LOADER} TO %I WITH INHERIT TRUE, SET TRUE', current_user);
       END IF;
     END $do$`,
  );
  return { user: LOADER, password, rights: "ordinary" };
}

/** REMOVES the role. Fails while something belongs to it. */
export async function dropLoader(session: pg.Client): Promise<void> {
  await session.query(`DROP ROLE IF EXISTS ${LOADER}`);
}

/** Gives all that the loader has made in a database, and the database itself, to `owner`. */
export async function giveToOwner(settings: AgentSettings, database: string, owner: string): Promise<void> {
  const session = await connect(settings, database, "budgie restore");
  try {
    await session.query("BEGIN");
    await session.query(`REASSIGN OWNED BY ${LOADER} TO ${escapeIdentifier(owner)}`);
    // Only rights that it was given are left. Nobody needs them.
    await session.query(`DROP OWNED BY ${LOADER}`);
    await session.query("COMMIT");
  } finally {
    await session.end();
  }
}
