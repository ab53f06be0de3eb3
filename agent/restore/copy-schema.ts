import type pg from "pg";
import type { RestoreSource } from "../catalogue/backup-source.ts";
import { timestamp } from "../manifest/backup-name.ts";
import { timeInName } from "../manifest/backup-time.ts";
import type { RestoreOptions } from "./restoring.ts";

/** The moment whose state a source holds, as far as it is known; else now. */
export function momentOfSource({ recovery }: RestoreOptions, { name, manifest }: RestoreSource): Date {
  if (recovery) return new Date(recovery.moment.ms);
  if (manifest) return new Date(manifest.startedAt);
  return new Date(timeInName(name) ?? Date.now());
}

/** `restored_20261122_140300`, in UTC, as backups are named; with a number behind it where there is one already. */
export async function freeSchemaName(session: pg.Client, at: Date): Promise<string> {
  const name = `restored_${timestamp(at)}`;
  const { rows } = await session.query<{ name: string }>(
    "SELECT nspname::text AS name FROM pg_namespace WHERE starts_with(nspname, $1)",
    [name],
  );
  const taken = new Set(rows.map(row => row.name));
  for (let number = 1; ; number++) {
    const free = number === 1 ? name : `${name}_${number}`;
    if (!taken.has(free)) return free;
  }
}
