/** A database to be dumped: about `megabytes` of plain dump, in as many tables as `shape` says. */
export interface Dataset {
  shape: Shape;
  megabytes: number;
}

export const SHAPES = { "one big table": 1, "500 small tables": 500 } as const;
export type Shape = keyof typeof SHAPES;

/** One row of a ledger in a dump's COPY block. */
const BYTES_A_ROW = 104;

/** SQL that makes it: a ledger's entries, with the three indexes that a ledger has. */
export function datasetSql({ shape, megabytes }: Dataset): string {
  const tables = SHAPES[shape];
  const rows = Math.round((megabytes * 1e6) / BYTES_A_ROW / tables);
  return `
    DO $$ BEGIN
      FOR n IN 1..${tables} LOOP
        EXECUTE format($make$
          CREATE TABLE entries_%1$s (
            id bigint PRIMARY KEY, at timestamptz NOT NULL, account int NOT NULL, amount numeric(12, 2) NOT NULL, note text);
          INSERT INTO entries_%1$s
            SELECT i, timestamptz '2020-01-01 00:00:00Z' + i * interval '7 seconds', hashint8(i) %% 50, i %% 100000 / 100.0,
                   md5(i::text) || md5((i + %1$s)::text)
              FROM generate_series(1, ${rows}) AS i;
          CREATE INDEX ON entries_%1$s (account, at);
          CREATE INDEX ON entries_%1$s (at)
        $make$, n);
      END LOOP;
    END $$`;
}
