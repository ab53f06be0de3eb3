/** A database to be dumped: about `megabytes` of plain dump, in as many tables as `shape` says. */
export interface Dataset {
  shape: Shape;
  megabytes: number;
}

export const SHAPES = { "one big table": 1, "500 small tables": 500 } as const;
export type Shape = keyof typeof SHAPES;

/** One row in a dump's COPY block. */
const BYTES_A_ROW = 155;

/** SQL that makes it: tables like the reference API's transactions, which belong to ledgers. */
export function datasetSql({ shape, megabytes }: Dataset): string {
  const tables = SHAPES[shape];
  const rows = Math.round((megabytes * 1e6) / BYTES_A_ROW / tables);
  return `
    CREATE TABLE ledgers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
    INSERT INTO ledgers (name) SELECT 'Ledger ' || n FROM generate_series(1, 50) AS n;
    DO $$ BEGIN
      FOR n IN 1..${tables} LOOP
        EXECUTE format($make$
          CREATE TABLE transactions_%1$s (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            ledger_id bigint NOT NULL REFERENCES ledgers ON DELETE CASCADE,
            date date NOT NULL,
            description text NOT NULL,
            credit_amount numeric(14, 2) NOT NULL DEFAULT 0 CHECK (credit_amount >= 0),
            debit_amount numeric(14, 2) NOT NULL DEFAULT 0 CHECK (debit_amount >= 0),
            is_paid boolean NOT NULL,
            is_cleared boolean NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL);
          INSERT INTO transactions_%1$s
            (ledger_id, date, description, credit_amount, debit_amount, is_paid, is_cleared, created_at, updated_at)
            SELECT 1 + abs(hashint8(i)) %% 50, date '2020-01-01' + i %% 2000, 'Groceries, and what else: ' || md5((i + %1$s)::text),
                   i %% 100000 / 100.0, 0, i %% 3 > 0, i %% 5 > 0,
                   timestamptz '2020-01-01 00:00:00Z' + i * interval '7.123456 seconds',
                   timestamptz '2020-01-01 00:00:00Z' + i * interval '7.654321 seconds'
              FROM generate_series(1, ${rows}) AS i;
          CREATE INDEX ON transactions_%1$s (ledger_id, date)
        $make$, n);
      END LOOP;
    END $$`;
}
