import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LIVE } from "../database/live.ts";
import type { TestPostgres } from "../servers/postgres.ts";
import { startAgent, type TestAgent } from "./agent.ts";

export const YEARLY = "0 2 1 1 *";
/** What the agent's schedule remembers, in the backup directory. */
export const RUN_MEMORY = ".schedule-test.json";

/** An agent whose schedule is due once a year and was served. So it takes a backup only when asked to. */
export async function startAgentDueYearly(postgres: TestPostgres): Promise<TestAgent> {
  const directory = await mkdtemp(join(tmpdir(), "budgie-backups-"));
  await writeFile(join(directory, RUN_MEMORY), JSON.stringify({ served: new Date(), failedAt: null }));
  return startAgent(postgres, {
    directory,
    database: LIVE,
    environment: { BUDGIE_BACKUP_SCHEDULE: YEARLY },
  });
}
