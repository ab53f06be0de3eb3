/** How many clients PostgreSQL serves at once where nobody has set `max_connections`. */
export const MAX_CONNECTIONS = 100;

/**
 * What the backends leave to others: superusers' own three, the backup agent, a restore's loaders, the gates, and an operator with `psql`.
 */
export const RESERVED_CONNECTIONS = 20;

/** What one backend alone has. More of them wait for the same processors. */
export const POOL_OF_ONE = 10;
/** With fewer, requests wait for each other while the database has nothing to do. */
const SMALLEST_POOL = 4;

export const MOST_BACKENDS = Math.floor((MAX_CONNECTIONS - RESERVED_CONNECTIONS) / SMALLEST_POOL) - 1;

/**
 * How many connections each of several backends may have.
 *
 * INVARIANT: (backends + 1) * pool + reserved <= max_connections. One more, because an update starts the new one before the old one ends.
 */
export function poolOfEach(backends: number): number {
  return Math.min(POOL_OF_ONE, Math.floor((MAX_CONNECTIONS - RESERVED_CONNECTIONS) / (backends + 1)));
}

/** What `max_connections` must be at least for them. */
export function connectionsNeeded(backends: number): number {
  return (backends + 1) * poolOfEach(backends) + RESERVED_CONNECTIONS;
}
