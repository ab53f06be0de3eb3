import { readFile } from "node:fs/promises";
import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { AGENT_MORE, besideServer, insideAgent, type MemoryLimits } from "./need.ts";

const MB = 1024 * 1024;
/** The files of control groups, version 2 and 1, that say what this container may use. */
const LIMIT_FILES = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
/** Where nothing is limited, version 1 writes the largest number of pages that there is. */
const UNLIMITED = 2 ** 53;

/** What the stack's own server and this agent may use. Unlimited is null. */
export async function liveMemory(settings: AgentSettings, session: pg.Client): Promise<MemoryLimits> {
  const { rows } = await session.query<{ bytes: string }>(
    "SELECT pg_size_bytes(current_setting('shared_buffers')) AS bytes",
  );
  const agent = await agentMemory(settings);
  return besideServer({ database: databaseBytes(settings), agent }, Number(rows[0]?.bytes));
}

/** What a throw-away server in this container may use, and its clients with it. */
export async function drillMemory(settings: AgentSettings): Promise<MemoryLimits> {
  return insideAgent(await agentMemory(settings));
}

/** What this container may use, in bytes; null when nothing limits it. */
async function agentMemory(settings: AgentSettings): Promise<number | null> {
  for (const file of LIMIT_FILES) {
    const text = await readFile(file, "utf8").catch(() => null);
    if (text !== null) return parseMemoryLimit(text);
  }
  const database = databaseBytes(settings);
  return database === null ? null : database + AGENT_MORE;
}

/** The limit that a control group's file says. */
export function parseMemoryLimit(text: string): number | null {
  const bytes = Number(text.trim());
  return Number.isFinite(bytes) && bytes < UNLIMITED ? bytes : null;
}

function databaseBytes({ databaseMemoryMegabytes }: AgentSettings): number | null {
  return databaseMemoryMegabytes === null ? null : databaseMemoryMegabytes * MB;
}
