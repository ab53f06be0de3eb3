import { once } from "node:events";
import type { Readable } from "node:stream";
import type { ThrowawayServer } from "../throwaway/server.ts";

/** Where psql, in the agent's container, finds what is open. */
export interface OpenBackup {
  host: string;
  user: string;
  database: string;
}

/** Tells `opened` where a database of a throw-away server is, and keeps it until `left` ends. */
export async function keepOpen(
  { settings: { host, user }, lost }: ThrowawayServer,
  database: string,
  left: Readable,
  opened: (where: OpenBackup) => void,
): Promise<void> {
  opened({ host, user, database });
  left.resume();
  await once(left, "end", { signal: lost });
}
