import { randomBytes } from "node:crypto";
import { chown, open, readFile, rm } from "node:fs/promises";

/** In memory, never on a disk. */
const FOLDER = "/dev/shm";

/** Who may read it. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * Runs `work` with the path of a passfile that `owner` alone may read, and removes it afterwards. The agent's own passfile belongs to
 * root. The new one holds `password`, or else the agent's passwords. Its path is undefined where the agent has no passfile.
 */
export async function withPassfile<T>(
  owner: Owner,
  password: string | null,
  work: (path: string | undefined) => Promise<T>,
): Promise<T> {
  const content = password === null ? await agentsOwn() : `*:*:*:*:${password.replace(/[\\:]/g, "\\$&")}\n`;
  if (content === null) return work(undefined);
  const path = `${FOLDER}/budgie-passfile-${randomBytes(8).toString("hex")}`;
  try {
    const file = await open(path, "wx", 0o400);
    try {
      await file.writeFile(content);
    } finally {
      await file.close();
    }
    await chown(path, owner.uid, owner.gid);
    return await work(path);
  } finally {
    await rm(path, { force: true });
  }
}

async function agentsOwn(): Promise<Buffer | null> {
  const own = process.env.PGPASSFILE;
  return own === undefined ? null : readFile(own);
}
