import type { FastifyInstance } from "fastify";
import type { Database } from "./database.ts";
import { HttpError } from "./errors.ts";
import { body, fields, idParameter } from "./validation.ts";

const properties = { name: fields.line(200), description: fields.text(2000) };
const creation = body(properties, { required: ["name"] });
const change = body(properties, { minProperties: 1 });

const COLUMNS = "id, name, description, created_at, updated_at";

interface Ledger {
  name: string;
  description?: string;
}

/** /api/ledgers: create, list, get, update (PATCH, only the fields sent), delete (with its transactions). */
export function ledgerRoutes(app: FastifyInstance, database: Database): void {
  app.post<{ Body: Ledger }>("/api/ledgers", { schema: { body: creation } }, async (request, reply) => {
    const [ledger] = await database.write(
      `INSERT INTO ledgers (user_id, name, description) VALUES ($1, $2, $3) RETURNING ${COLUMNS}`,
      [request.user.id, request.body.name.trim(), request.body.description ?? ""],
    );
    return reply.code(201).send({ ledger });
  });

  app.get("/api/ledgers", async request => {
    const ledgers = await database.read(`SELECT ${COLUMNS} FROM ledgers WHERE user_id = $1 ORDER BY id`, [
      request.user.id,
    ]);
    return { ledgers };
  });

  app.get<{ Params: { id: string } }>(
    "/api/ledgers/:id",
    { schema: { params: idParameter } },
    async request => {
      const [ledger] = await database.read(`SELECT ${COLUMNS} FROM ledgers WHERE id = $1 AND user_id = $2`, [
        request.params.id,
        request.user.id,
      ]);
      return { ledger: ledger ?? notFound() };
    },
  );

  app.patch<{ Params: { id: string }; Body: Partial<Ledger> }>(
    "/api/ledgers/:id",
    { schema: { params: idParameter, body: change } },
    async request => {
      const { name, description } = request.body;
      const [ledger] = await database.write(
        `UPDATE ledgers SET name = coalesce($3, name), description = coalesce($4, description), updated_at = now()
         WHERE id = $1 AND user_id = $2 RETURNING ${COLUMNS}`,
        [request.params.id, request.user.id, name?.trim(), description],
      );
      return { ledger: ledger ?? notFound() };
    },
  );

  app.delete<{ Params: { id: string } }>(
    "/api/ledgers/:id",
    { schema: { params: idParameter } },
    async (request, reply) => {
      // Destroys the ledger and, by its foreign key, all its transactions.
      const deleted = await database.write(
        "DELETE FROM ledgers WHERE id = $1 AND user_id = $2 RETURNING id",
        [request.params.id, request.user.id],
      );
      if (deleted.length === 0) notFound();
      return reply.code(204).send();
    },
  );
}

// The same for a ledger of somebody else: whether it exists is not theirs to know.
function notFound(): never {
  throw new HttpError(404, "There is no such ledger.");
}
