import { rename, writeFile } from "node:fs/promises";
import pg from "pg";
import utils from "pg/lib/utils.js";
import { OWN_SERVICE } from "../../shared/own-connection.ts";

/** What the agent's programs read. It holds no secret. */
const SERVICE_FILE = "/run/budgie-own-connection.conf";

/** Whether the newest session of this process was let in by its own place alone: then its programs need one, too. */
let crowded = false;

export function noteCrowd(found: boolean): void {
  crowded = found;
}

/** PostgreSQL's code where a server, a role or a database has as many sessions as it may have. */
export function isTooMany(error: unknown): boolean {
  return (error as { code?: string }).code === "53300";
}

/** What psql, pg_dump and pg_dumpall need in their environment to be let in while the clients have taken every other place. */
export async function ownPlaceEnvironment(): Promise<NodeJS.ProcessEnv> {
  if (!crowded) return {};
  written ??= writeServiceFile();
  await written;
  return { PGSERVICEFILE: SERVICE_FILE, PGSERVICE: OWN_SERVICE.name };
}

let written: Promise<void> | null = null;

/** Whoever reads it reads it whole: other commands have programs that read it meanwhile. */
async function writeServiceFile(): Promise<void> {
  const own = `${SERVICE_FILE}.${process.pid}`;
  await writeFile(own, OWN_SERVICE.content, { mode: 0o644 });
  await rename(own, SERVICE_FILE);
}

/**
 * Has the values of a query go along in its text, as a prepared statement's. A session in a place of its own does not take them apart
 * from the text. The server finds out their types in the same way.
 */
export function withValuesInText(client: pg.Client): pg.Client {
  const query = client.query.bind(client) as (text: string) => Promise<pg.QueryResult | pg.QueryResult[]>;
  let count = 0;
  const inText = async (text: string, values: readonly unknown[] = []) => {
    if (values.length === 0) return query(text);
    const results = await query(asPrepared(`budgie_${++count}`, text, values));
    return (results as pg.QueryResult[])[1];
  };
  return Object.assign(client, { query: inText });
}

/** The second statement's result is the query's. */
export function asPrepared(name: string, text: string, values: readonly unknown[]): string {
  const literals = values.map(value => {
    const written = utils.prepareValue(value);
    return written === null ? "NULL" : pg.escapeLiteral(String(written));
  });
  return `PREPARE ${name} AS ${text}\n; EXECUTE ${name}(${literals.join(", ")}); DEALLOCATE ${name}`;
}
