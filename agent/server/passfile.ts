import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Owner, withMemoryFolder } from "../base/memory-folder.ts";

/**
 * Runs `work` with the path of a passfile that `owner` alone may read, and removes it afterwards. The agent's own passfile belongs to
 * root. The new one holds `password`, or else the agent's passwords. Its path is undefined where the agent has no passfile.
 */
export async function withPassfile<T>(
  owner: Owner,
  password: string | null,
  work: (path: string | undefined) => Promise<T>,
): Promise<T> {
  const passfile = password === null ? await agentsOwn() : `*:*:*:*:${password.replace(/[\\:]/g, "\\$&")}\n`;
  if (passfile === null) return work(undefined);
  return withMemoryFolder(owner, { passfile }, folder => work(join(folder, "passfile")));
}

async function agentsOwn(): Promise<Buffer | null> {
  const own = process.env.PGPASSFILE;
  return own === undefined ? null : readFile(own);
}
