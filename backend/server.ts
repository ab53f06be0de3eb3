import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyBaseLogger } from "fastify";
import { buildApp } from "./app.ts";
import { Database, describe } from "./database.ts";
import { drains } from "./drain.ts";
import { loggerOptions } from "./logging.ts";
import { MigrationsRefused, migrate } from "./migrations.ts";
import { readSettings, type Settings, SettingsError } from "./settings.ts";

const DATABASE_WITHIN_MS = 60_000;
const CLOSE_WITHIN_MS = 10_000;

/** Ends the process after one line on stderr: 1 it could not start, 2 the environment is not complete. */
function fail(exitCode: 1 | 2, message: string): never {
  process.stderr.write(`budgie-backend: ${message}\n`);
  process.exit(exitCode);
}

function settingsOrExit(): Settings {
  try {
    return readSettings(process.env);
  } catch (error) {
    if (error instanceof SettingsError) fail(2, error.message);
    throw error;
  }
}

/** Waits with growing pauses for the database, then migrates it. Throws when it is not there within 60 s. */
async function migrateWhenReachable(database: Database, log: FastifyBaseLogger): Promise<void> {
  const deadline = Date.now() + DATABASE_WITHIN_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 5000)) {
    try {
      const applied = await database.withClient(client => migrate(client));
      log.info({ applied }, "the schema is up to date");
      return;
    } catch (error) {
      if (error instanceof MigrationsRefused || Date.now() + pause > deadline) throw error;
      log.warn({ reason: describe(error) }, "waiting for the database");
      await sleep(pause);
    }
  }
}

async function main(): Promise<void> {
  const settings = settingsOrExit();
  const database = new Database(settings.database, reason => log.warn({ reason }, "a connection was lost"));
  const app = await buildApp(settings, database, loggerOptions());
  const log = app.log;
  const drain = drains(app, settings.drainSeconds);

  let listening = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, async () => {
      log.info(`${signal}: closing`);
      if (listening) await drain();
      setTimeout(() => fail(1, `did not close within ${CLOSE_WITHIN_MS / 1000} s`), CLOSE_WITHIN_MS).unref();
      // A connection whose request was under way when the close began is kept alive by its client afterwards.
      setInterval(() => app.server.closeIdleConnections(), 100).unref();
      await app.close();
      await database.close();
      process.exit(0);
    });
  }

  const { host, port, name } = settings.database;
  await migrateWhenReachable(database, log).catch(error => {
    fail(1, `the database ${name} at ${host}:${port} cannot be used: ${describe(error)}`);
  });
  await app.listen({ host: settings.host, port: settings.port }).catch(error => {
    fail(1, `cannot listen on ${settings.host}:${settings.port}: ${describe(error)}`);
  });
  listening = true;
}

main().catch(error => fail(1, describe(error)));
