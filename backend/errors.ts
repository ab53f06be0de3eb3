import type { FastifyError, FastifyInstance } from "fastify";
import pg from "pg";
import { DatabaseUnavailable } from "./database.ts";
import { problems } from "./validation.ts";

const RETRY_AFTER_SECONDS = 2;

/** An answer other than success that the code decided on. */
export class HttpError extends Error {
  readonly statusCode: number;
  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** Every error becomes `{error}`, with `details: [{field, message}]` where single fields are wrong. */
export function answerErrors(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) => {
    const [path] = request.url.split("?");
    return reply.code(404).send({ error: `There is no ${request.method} ${path} here.` });
  });

  app.setErrorHandler<FastifyError | HttpError | DatabaseUnavailable | pg.DatabaseError>(
    (error, request, reply) => {
      if (error instanceof DatabaseUnavailable) {
        request.log.warn({ reason: error.message }, "the database is not available");
        return reply.code(503).header("Retry-After", RETRY_AFTER_SECONDS).send({
          error: "The database is not available right now. Try again in a few seconds.",
        });
      }
      if (error instanceof HttpError) return reply.code(error.statusCode).send({ error: error.message });
      // Class 22: a value that passed the schema and that PostgreSQL cannot hold, such as a NUL character or the year 0.
      if (error instanceof pg.DatabaseError && error.code?.startsWith("22")) {
        request.log.warn({ sqlState: error.code }, "a value was refused by the database");
        return reply.code(400).send({ error: "A field holds a value that cannot be stored." });
      }
      if ("validation" in error && error.validation) {
        const details = problems(error.validation, error.validationContext);
        const summary = details.map(({ field, message }) => `${field} ${message}`).join("; ");
        return reply.code(400).send({ error: `${summary}.`, details });
      }
      const status = "statusCode" in error ? (error.statusCode ?? 500) : 500;
      if (status < 500) return reply.code(status).send({ error: plainMessage(status) });
      request.log.error({ err: error }, "a request failed");
      return reply.code(500).send({ error: "The server failed. Its log says why." });
    },
  );
}

// Own words: those of a parser may quote the body.
function plainMessage(status: number): string {
  if (status === 413) return "The request is too large.";
  if (status === 415) return "Send the body as application/json.";
  return "The request's body is not valid JSON.";
}
