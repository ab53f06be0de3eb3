import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Login } from "./client-programs.ts";
import { managedTls } from "./managed.ts";
import { sessionOptions } from "./session-settings.ts";

/** Names without a schema mean what they mean to the database's own programs. */
const FOR_PEOPLE = { search_path: "public" };

/**
 * Runs `work` with a session that has no right but those of `login`. Ends the session when `signal` aborts, and with it what it is doing.
 */
export async function withLoaderSession<T>(
  settings: AgentSettings,
  database: string,
  { user, password, rights }: Login,
  signal: AbortSignal,
  work: (session: pg.Client) => Promise<T>,
): Promise<T> {
  const { host, port } = settings;
  const session = new pg.Client({
    ...(await managedTls(settings)),
    host,
    port,
    user,
    password,
    database,
    application_name: "budgie mask",
    connectionTimeoutMillis: 15_000,
    options: sessionOptions(rights, FOR_PEOPLE),
  });
  session.on("error", () => undefined);
  const cut = () =>
    (session as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  signal.addEventListener("abort", cut);
  try {
    await session.connect();
    return await work(session);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", cut);
    await session.end().catch(() => undefined);
  }
}
