import { join } from "node:path";
import type pg from "pg";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import type { Reporter } from "../base/reporter.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { dropPrevious } from "./drop-previous.ts";

/**
 * Which databases refreshes have set aside that the settings ask for, oldest first. A name may come again, an oid does not: what an
 * undo has put back in place is not taken for what it once was.
 */
const refreshedDatabases = z.object({
  databases: z.array(z.object({ name: z.string(), oid: z.string() })),
});
type Refreshed = z.infer<typeof refreshedDatabases>["databases"];

/** Notes what a refresh has set aside. A kill before that leaves one that nobody deletes by itself; the status names it when it is old. */
export async function noteRefreshed(settings: AgentSettings, name: string | null): Promise<void> {
  if (name === null) return;
  const there = await thatAreThere(settings, [name]);
  await write(settings, [...(await read(settings)), ...there]);
}

/**
 * DESTROYS what refreshes before the newest one have set aside. Each of them was backed up before it was replaced. What a restore, or
 * a refresh that somebody asked for with --from, has set aside is never among them. Throws a Stop.
 */
export async function dropEarlierRefreshed(settings: AgentSettings, report: Reporter): Promise<void> {
  const known = await read(settings);
  const there = await thatAreThere(
    settings,
    known.map(({ name }) => name),
  );
  const same = known.filter(({ name, oid }) => there.some(found => found.name === name && found.oid === oid));
  const earlier = same.slice(0, -1);
  if (earlier.length > 0) await dropPrevious(settings, { names: earlier.map(({ name }) => name) }, report);
  await write(settings, same.slice(-1));
}

async function thatAreThere(settings: AgentSettings, names: readonly string[]): Promise<Refreshed> {
  const session: pg.Client = await connectToMaintenance(settings, "budgie refresh");
  try {
    const { rows } = await session.query<Refreshed[number]>(
      "SELECT datname::text AS name, oid::text AS oid FROM pg_database WHERE datname = ANY($1)",
      [names],
    );
    return rows;
  } finally {
    await session.end();
  }
}

/** What cannot be read is not deleted either. */
async function read(settings: AgentSettings): Promise<Refreshed> {
  const reading = await readRecord(refreshedDatabases, pathOf(settings));
  return reading.found ? reading.record.databases : [];
}

async function write(settings: AgentSettings, databases: Refreshed): Promise<void> {
  await writeRecord(pathOf(settings), { databases });
}

function pathOf({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `.refreshed-${stack}.json`);
}
