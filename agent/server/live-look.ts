import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { connect } from "./connection.ts";

/** What a look at the live database sees without reading any of it. */
export interface LiveLook {
  /** PostgreSQL's number of the database; null where there is none of that name. */
  oid: string | null;
  /** Its tables, views and sequences in one word, and how many they are. null when it could not be asked. */
  objects: { count: number; digest: string } | null;
}

export async function lookAtLive(session: pg.Client, settings: AgentSettings): Promise<LiveLook> {
  const { rows } = await session.query<{ oid: string }>(
    "SELECT oid::text AS oid FROM pg_database WHERE datname = $1",
    [settings.database],
  );
  const oid = rows[0]?.oid ?? null;
  return { oid, objects: oid === null ? null : await lookInside(settings).catch(() => null) };
}

async function lookInside(settings: AgentSettings): Promise<LiveLook["objects"]> {
  const inside = await connect(settings, settings.database, "budgie look");
  try {
    const { rows } = await inside.query<{ count: number; digest: string }>(
      `SELECT count(*)::int AS count, md5(coalesce(string_agg(c.oid || relkind::text || relname, ',' ORDER BY c.oid), '')) AS digest
         FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'`,
    );
    return rows[0] ?? null;
  } finally {
    await inside.end();
  }
}

/**
 * Adds to an operation's failure what a look at the live database shows afterwards. Only a database that was looked at is called
 * unchanged. If it is gone, that is an error of its own, with the way back.
 */
export async function withLookAfter(
  error: unknown,
  before: LiveLook,
  session: pg.Client,
  settings: AgentSettings,
  safetyBackup: string | null,
): Promise<unknown> {
  if (before.oid === null || !(error instanceof Error)) return error;
  const after = await lookAtLive(session, settings).catch(() => null);
  const { code, next } = error instanceof Stop ? error : { code: EXIT.failed, next: undefined };
  const said = error.message.replace(/([^.])$/, "$1.");
  if (after !== null && after.oid !== before.oid) {
    const back = safetyBackup ?? "latest";
    const what = after.oid === null ? "is gone" : "is another one";
    return new Stop(
      EXIT.anotherDatabase,
      `${said} And the database ${settings.database} ${what}: somebody dropped it while this went on.`,
      `To bring back what was there: npx budgie restore ${back}`,
    );
  }
  return new Stop(code, `${said} ${seen(before, after, settings.database)}`, next);
}

function seen(before: LiveLook, after: LiveLook | null, database: string): string {
  if (!after?.objects || !before.objects)
    return `Nothing was done to the database ${database}, and it could not be looked at.`;
  if (after.objects.digest === before.objects.digest) return "The database is as it was.";
  return `Nothing was done to the database ${database}; meanwhile somebody else has changed its tables (${before.objects.count} objects before, ${after.objects.count} now).`;
}
