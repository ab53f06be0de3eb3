import { expect } from "vitest";
import { EXIT } from "../../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../agent/agent.ts";
import { startPostgres, type TestPostgres } from "../servers/postgres.ts";
import { LIVE, putBackTheFirst, withoutSyncing } from "./live.ts";
import { type DatabaseSnapshot, snapshotDatabase } from "./snapshot.ts";

/** A server and an agent whose live database is made and dropped again and again. */
export interface RoundTrips {
  postgres: TestPostgres;
  agent: TestAgent;
  stop(): Promise<void>;
}

export async function startRoundTrips(): Promise<RoundTrips> {
  const postgres = await startPostgres();
  await withoutSyncing(postgres);
  const agent = await startAgent(postgres, { database: LIVE });
  return {
    postgres,
    agent,
    stop: async () => {
      await agent.stop();
      await postgres.stop();
    },
  };
}

/** Backs up the live database in a format, drills the backup and restores it; all three must succeed. */
export async function backUpDrillRestore(agent: TestAgent, format: string): Promise<void> {
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await agent.run(args);
    expect(code, `${args.join(" ")}\n${stdout}${stderr}`).toBe(EXIT.done);
    return stdout;
  };
  await run("backup", "--format", format);
  expect(JSON.parse(await run("drill", "latest", "--json")).outcome).toBe("good");
  await run("restore", "latest");
}

/**
 * Backs up, drills and restores the live database, and compares the result with what PostgreSQL's own tools bring back.
 * Afterwards, whatever happened, the first database is live again and the backup directory is empty.
 */
export async function expectRoundTrip(
  { postgres, agent }: RoundTrips,
  format: string,
  expected: DatabaseSnapshot,
): Promise<void> {
  try {
    await backUpDrillRestore(agent, format);
    const restored = await snapshotDatabase(postgres, LIVE);
    expect(restored.content, `what ${LIVE} holds`).toEqual(expected.content);
    expect(restored.schema, `the schema of ${LIVE}`).toEqual(expected.schema);
  } finally {
    await putBackTheFirst(postgres);
    await agent.clear();
  }
}
