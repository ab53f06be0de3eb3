import { randomBytes } from "node:crypto";
import { open, readdir, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

/** In memory, never on a disk. */
const DIRECTORY = "/dev/shm";
const NAME = /^budgie-(reader|identity|mask|target)-[0-9a-f]{32}$/;

export type SecretKind = "reader" | "identity" | "mask" | "target";

/** Keeps a secret for the one command that follows, and returns the path to tell that command. */
export async function keepSecret(kind: SecretKind, secret: string): Promise<string> {
  const path = join(DIRECTORY, `budgie-${kind}-${randomBytes(16).toString("hex")}`);
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(secret);
  } finally {
    await file.close();
  }
  return path;
}

/** Reads and deletes what was kept, so that it serves once. Null when it is not there. */
export async function takeSecret(kind: SecretKind, path: string): Promise<string | null> {
  const name = path.startsWith(`${DIRECTORY}/`) ? path.slice(DIRECTORY.length + 1) : "";
  const kept = NAME.exec(name)?.[1] === kind ? await readFile(path, "utf8").catch(() => null) : null;
  if (kept !== null) await unlink(path);
  return kept;
}

/**
 * Deletes secrets whose command was killed before it took them. Those that came since this process started stay: a command may be
 * about to take them.
 */
export async function removeLeftoverSecrets(): Promise<void> {
  const startedAt = Date.now() - process.uptime() * 1000;
  for (const name of (await readdir(DIRECTORY).catch(() => [])).filter(name => NAME.test(name))) {
    const path = join(DIRECTORY, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (mtimeMs < startedAt) await unlink(path).catch(() => undefined);
  }
}
