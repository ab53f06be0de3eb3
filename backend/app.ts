import cookie from "@fastify/cookie";
import cors from "@fastify/cors";
import { type FastifyInstance, type FastifyServerOptions, fastify } from "fastify";
import { authRoutes, requireUser } from "./auth.ts";
import type { Database } from "./database.ts";
import { answerErrors } from "./errors.ts";
import { healthRoute } from "./health.ts";
import { ledgerRoutes } from "./ledgers.ts";
import { Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { transactionRoutes } from "./transactions.ts";
import type { User } from "./user.ts";
import { ajvOptions } from "./validation.ts";

const BODY_LIMIT_BYTES = 64 * 1024;

/** With others beside it: clients keep a connection that is idle no longer than this, and are told so. */
const KEEP_ALIVE_MS = 5000;

/** The API, not yet listening. `app.log` serves the rest of the process as well. */
export async function buildApp(
  settings: Pick<Settings, "sessionSecret" | "frontendOrigin"> & Partial<Pick<Settings, "drainSeconds">>,
  database: Database,
  logger: NonNullable<FastifyServerOptions["logger"]>,
): Promise<FastifyInstance> {
  const app = fastify({
    ...{ logger, ajv: ajvOptions, bodyLimit: BODY_LIMIT_BYTES },
    ...(settings.drainSeconds ? { keepAliveTimeout: KEEP_ALIVE_MS } : {}),
  });
  answerErrors(app);
  app.decorateRequest("user", null as unknown as User);

  await app.register(cookie);
  if (settings.frontendOrigin !== undefined) {
    await app.register(cors, {
      origin: settings.frontendOrigin,
      credentials: true,
      methods: ["GET", "POST", "PATCH", "DELETE"],
    });
  }

  const sessions = new Sessions(database, settings.sessionSecret);
  const cookieSecure = settings.frontendOrigin?.startsWith("https:") ?? false;
  healthRoute(app, database);
  authRoutes(app, { database, sessions, cookieSecure });
  app.register(async owned => {
    owned.addHook("onRequest", requireUser(sessions));
    ledgerRoutes(owned, database);
    transactionRoutes(owned, database);
  });
  return app;
}
