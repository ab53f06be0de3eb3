export const ledgersAndTransactions = {
  name: "0002-ledgers-and-transactions",
  sql: `
    CREATE TABLE ledgers (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
      name text NOT NULL,
      description text NOT NULL DEFAULT '',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX ledgers_user_id ON ledgers (user_id);

    CREATE TABLE transactions (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      ledger_id bigint NOT NULL REFERENCES ledgers ON DELETE CASCADE,
      date date NOT NULL,
      description text NOT NULL,
      credit_amount numeric(14,2) NOT NULL DEFAULT 0 CHECK (credit_amount >= 0),
      debit_amount numeric(14,2) NOT NULL DEFAULT 0 CHECK (debit_amount >= 0),
      is_paid boolean NOT NULL DEFAULT false,
      is_cleared boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX transactions_ledger_id_date ON transactions (ledger_id, date);
  `,
};
