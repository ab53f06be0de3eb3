import type { TestPostgres } from "../servers/postgres.ts";
import { LIVE } from "./live.ts";
import { query } from "./query.ts";

/** Gives the live database a table `entries` of this many rows; each one's note is an MD5, written `times` times. */
export async function makeEntries(postgres: TestPostgres, rows: number, times = 3): Promise<void> {
  await query(
    postgres,
    LIVE,
    `CREATE TABLE entries AS SELECT n AS id, repeat(md5(n::text), ${times}) AS note FROM generate_series(1, ${rows}) n`,
  );
}
