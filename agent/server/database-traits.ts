import pg from "pg";

const { escapeIdentifier, escapeLiteral } = pg;

/** What is settled when a database is created. */
export interface DatabaseTraits {
  owner: string;
  /** What CREATE DATABASE is told to make another one like it, apart from the owner: encoding, locale, tablespace, connection limit. */
  words: string;
}

/** The statement that makes an empty database with these traits, and the owner that is named or the same. */
export function createDatabase(
  database: string,
  traits: DatabaseTraits | null,
  owner: string | null = traits?.owner ?? null,
): string {
  const ownedBy = owner === null ? "" : ` OWNER ${escapeIdentifier(owner)}`;
  return `CREATE DATABASE ${escapeIdentifier(database)} TEMPLATE template0${ownedBy} ${traits?.words ?? ""}`;
}

interface Row {
  owner: string;
  encoding: string;
  datcollate: string;
  datctype: string;
  /** `c` libc, `i` ICU. */
  provider: string;
  locale: string | null;
  rules: string | null;
  tablespace: string;
  connection_limit: number;
}

/** The traits of a database; null where there is none of that name. */
export async function readDatabaseTraits(
  session: pg.Client,
  database: string,
): Promise<DatabaseTraits | null> {
  const { rows } = await session.query<Row>(
    // to_jsonb, because the names of the locale columns change between major versions.
    `SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding, datcollate, datctype,
            to_jsonb(d)->>'datlocprovider' AS provider,
            coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale') AS locale,
            to_jsonb(d)->>'daticurules' AS rules, spcname AS tablespace, datconnlimit AS connection_limit
       FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE datname = $1`,
    [database],
  );
  const found = rows[0];
  if (!found) return null;
  const words = [
    `ENCODING ${escapeLiteral(found.encoding)}`,
    `LC_COLLATE ${escapeLiteral(found.datcollate)}`,
    `LC_CTYPE ${escapeLiteral(found.datctype)}`,
    // Only a superuser may name the one that is meant anyway.
    ...(found.tablespace === "pg_default" ? [] : [`TABLESPACE ${escapeIdentifier(found.tablespace)}`]),
    `CONNECTION LIMIT ${found.connection_limit}`,
  ];
  if (found.provider === "i") {
    words.push("LOCALE_PROVIDER icu", `ICU_LOCALE ${escapeLiteral(found.locale ?? "und")}`);
    if (found.rules) words.push(`ICU_RULES ${escapeLiteral(found.rules)}`);
  }
  return { owner: found.owner, words: words.join(" ") };
}
