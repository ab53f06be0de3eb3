import type { FastifyInstance } from "fastify";
import { type Database, describe } from "./database.ts";

const HEALTH_TIMEOUT_MS = 2000;

/** GET /health asks the database each time: 200 `{"status":"ok"}`, 503 `{"status":"unavailable"}` within about two seconds. */
export function healthRoute(app: FastifyInstance, database: Database): void {
  app.get("/health", { logLevel: "warn" }, async (request, reply) => {
    reply.header("Cache-Control", "no-store");
    try {
      await database.probe(HEALTH_TIMEOUT_MS);
      return { status: "ok" };
    } catch (error) {
      request.log.warn({ reason: describe(error) }, "the database is not available");
      return reply.code(503).send({ status: "unavailable" });
    }
  });
}
