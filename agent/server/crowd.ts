import type pg from "pg";
import { shownSecond } from "../base/shown-moment.ts";

/** Sessions that look alike. */
export interface CrowdGroup {
  user: string | null;
  application: string | null;
  address: string | null;
  sessions: number;
  idle: number;
  since: Date;
}

/** Who has taken the places of a server that lets no client in any more. */
export interface Crowd {
  places: number;
  groups: CrowdGroup[];
}

/** Null as long as a client gets in. */
export async function readCrowd(session: pg.Client): Promise<Crowd | null> {
  const { rows } = await session.query<CrowdGroup & { places: number }>(
    `SELECT usename::text AS user, application_name AS application, host(client_addr) AS address, count(*)::int AS sessions,
            (count(*) FILTER (WHERE state = 'idle'))::int AS idle, min(backend_start) AS since,
            current_setting('max_connections')::int AS places
       FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
      GROUP BY usename, application_name, client_addr ORDER BY sessions DESC, since`,
  );
  const places = rows[0]?.places ?? 0;
  const taken = rows.reduce((sum, { sessions }) => sum + sessions, 0);
  return taken > 0 && taken >= places
    ? { places, groups: rows.map(({ places: _, ...group }) => group) }
    : null;
}

const SHOWN = 3;

/** The names are the clients' own, so the line to type has none of them. */
export function describeCrowd({ places, groups }: Crowd): string {
  const shown = groups.slice(0, SHOWN).map(({ user, application, address, sessions, idle, since }) => {
    const who = [user, application, address && `from ${address}`].filter(Boolean).join(", ");
    return `${sessions} (${who}; ${idle} of them idle; the first since ${shownSecond(since)})`;
  });
  const more = groups.length > SHOWN ? " and others" : "";
  return `No client gets into the database any more: all ${places} connections are taken, ${shown.join(", ")}${more}. End the idle ones: npx budgie psql -- -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND state_change < now() - interval '1 minute'"`;
}
