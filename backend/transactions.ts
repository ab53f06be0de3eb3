import type { FastifyInstance } from "fastify";
import type { Database } from "./database.ts";
import { HttpError } from "./errors.ts";
import { body, fields, idParameter } from "./validation.ts";

const properties = {
  ledger_id: fields.id,
  date: fields.date,
  description: fields.line(500),
  credit_amount: fields.amount,
  debit_amount: fields.amount,
  is_paid: fields.boolean,
  is_cleared: fields.boolean,
};
const creation = body(properties, { required: ["ledger_id", "date", "description"] });
const change = body(properties, { minProperties: 1 });

const listing = {
  type: "object",
  additionalProperties: false,
  properties: {
    ledger_id: { type: "string", pattern: "^[0-9]{1,15}$" },
    limit: { type: "string", pattern: "^[0-9]{1,4}$" },
    offset: { type: "string", pattern: "^[0-9]{1,9}$" },
  },
} as const;

const COLUMNS = `t.id, t.ledger_id, t.date, t.description, t.credit_amount, t.debit_amount, t.is_paid, t.is_cleared,
  t.created_at, t.updated_at`;
const OWNED = "t.ledger_id IN (SELECT id FROM ledgers WHERE user_id = $2)";

/** Amounts are taken as strings or numbers and answered as strings with two decimals ("12.50"); missing ones are "0.00". */
interface Transaction {
  ledger_id: number;
  date: string;
  description: string;
  credit_amount?: string | number;
  debit_amount?: string | number;
  is_paid?: boolean;
  is_cleared?: boolean;
}

/**
 * /api/transactions: create, list (`?ledger_id=&limit=&offset=`, newest first, 100 unless told, at most 1000), get, update
 * (PATCH, only the fields sent), delete.
 */
export function transactionRoutes(app: FastifyInstance, database: Database): void {
  app.post<{ Body: Transaction }>(
    "/api/transactions",
    { schema: { body: creation } },
    async (request, reply) => {
      const sent = request.body;
      const [transaction] = await database.write(
        `INSERT INTO transactions AS t
           (ledger_id, date, description, credit_amount, debit_amount, is_paid, is_cleared)
         SELECT id, $3, $4, $5, $6, $7, $8 FROM ledgers WHERE id = $1 AND user_id = $2
         RETURNING ${COLUMNS}`,
        [
          sent.ledger_id,
          request.user.id,
          sent.date,
          sent.description.trim(),
          sent.credit_amount ?? 0,
          sent.debit_amount ?? 0,
          sent.is_paid ?? false,
          sent.is_cleared ?? false,
        ],
      );
      return reply.code(201).send({ transaction: transaction ?? noLedger() });
    },
  );

  app.get<{ Querystring: { ledger_id?: string; limit?: string; offset?: string } }>(
    "/api/transactions",
    { schema: { querystring: listing } },
    async request => {
      const { ledger_id, limit, offset } = request.query;
      const transactions = await database.read(
        `SELECT ${COLUMNS} FROM transactions t
         WHERE ($1::bigint IS NULL OR t.ledger_id = $1) AND ${OWNED}
         ORDER BY t.date DESC, t.id DESC LIMIT least($3::int, 1000) OFFSET $4`,
        [ledger_id ?? null, request.user.id, limit ?? 100, offset ?? 0],
      );
      return { transactions };
    },
  );

  app.get<{ Params: { id: string } }>(
    "/api/transactions/:id",
    { schema: { params: idParameter } },
    async request => {
      const [transaction] = await database.read(
        `SELECT ${COLUMNS} FROM transactions t WHERE t.id = $1 AND ${OWNED}`,
        [request.params.id, request.user.id],
      );
      return { transaction: transaction ?? notFound() };
    },
  );

  app.patch<{ Params: { id: string }; Body: Partial<Transaction> }>(
    "/api/transactions/:id",
    { schema: { params: idParameter, body: change } },
    async request => {
      const sent = request.body;
      if (sent.ledger_id !== undefined) {
        const owned = await database.read("SELECT id FROM ledgers WHERE id = $1 AND user_id = $2", [
          sent.ledger_id,
          request.user.id,
        ]);
        if (owned.length === 0) noLedger();
      }
      const [transaction] = await database.write(
        `UPDATE transactions t SET
           ledger_id = coalesce($3, t.ledger_id), date = coalesce($4, t.date),
           description = coalesce($5, t.description), credit_amount = coalesce($6, t.credit_amount),
           debit_amount = coalesce($7, t.debit_amount), is_paid = coalesce($8, t.is_paid),
           is_cleared = coalesce($9, t.is_cleared), updated_at = now()
         WHERE t.id = $1 AND ${OWNED}
         RETURNING ${COLUMNS}`,
        [
          request.params.id,
          request.user.id,
          sent.ledger_id,
          sent.date,
          sent.description?.trim(),
          sent.credit_amount,
          sent.debit_amount,
          sent.is_paid,
          sent.is_cleared,
        ],
      );
      return { transaction: transaction ?? notFound() };
    },
  );

  app.delete<{ Params: { id: string } }>(
    "/api/transactions/:id",
    { schema: { params: idParameter } },
    async (request, reply) => {
      // Destroys the transaction.
      const deleted = await database.write(
        `DELETE FROM transactions t WHERE t.id = $1 AND ${OWNED} RETURNING t.id`,
        [request.params.id, request.user.id],
      );
      if (deleted.length === 0) notFound();
      return reply.code(204).send();
    },
  );
}

function notFound(): never {
  throw new HttpError(404, "There is no such transaction.");
}

function noLedger(): never {
  throw new HttpError(404, "There is no such ledger.");
}
