import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, type RunAs, startReader } from "../base/child-process.ts";
import { explainWrite, openPartial, type PartialFile } from "../base/durable-file.ts";
import { sha256Of } from "../base/hashing.ts";
import { SEE_THE_SERVER } from "../base/next-steps.ts";
import { refuse } from "../base/refuse.ts";
import { manifestName } from "../manifest/backup-name.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { withServerClient } from "../server/client-programs.ts";
import { DUMP_SESSION } from "../server/orphans.ts";

/** What pg_dumpall ends its output with. */
const COMPLETE = "-- PostgreSQL database cluster dump complete";

/** Roles are some hundred bytes each. */
const LARGEST_BYTES = 64 * 1024 * 1024;

/** The server's roles and tablespaces, as a manifest speaks of them. */
export type Globals = NonNullable<Manifest["globals"]>;

/** `budgie_20251125_092704.globals.sql`, beside `budgie_20251125_092704.sql`. */
export function globalsName(backup: string): string | null {
  return manifestName(backup)?.replace(/json$/, "globals.sql") ?? null;
}

export interface WrittenGlobals {
  recorded: Globals;
  /** To be published once the dump is. */
  partial: PartialFile;
}

/**
 * Writes the server's roles and tablespaces, which a dump of one database leaves out. The roles' passwords are left out unless
 * they are asked for; only a superuser can read them. Throws a Stop, and leaves nothing.
 */
export async function writeGlobals(
  settings: AgentSettings,
  backup: string,
  rolePasswords: boolean,
  signal: AbortSignal,
): Promise<WrittenGlobals> {
  const file = globalsName(backup) as string;
  const text = await withServerClient(settings, null, client => dumpGlobals(rolePasswords, client, signal));
  const partial = await openPartial(settings.backupDir, settings.stack, file);
  try {
    await partial.handle.writeFile(text);
    // If a kill leaves the dump without it, the next operation publishes this file.
    await partial.handle.sync();
  } catch (error) {
    await partial.discard();
    throw explainWrite(error, file, settings.backupDirShown);
  }
  return { recorded: { file, bytes: text.length, sha256: sha256Of(text), rolePasswords }, partial };
}

/** Throws a Stop unless the file that the manifest names lies beside the backup, and is what was written. */
export async function requireGlobals(backupPath: string, manifest: Manifest | null): Promise<void> {
  const globals = manifest?.globals;
  if (!globals) return;
  const content = await readFile(join(dirname(backupPath), globals.file)).catch(
    (error: NodeJS.ErrnoException) => {
      throw refuse(
        error.code === "ENOENT"
          ? `${globals.file}, the roles that belong to it, is missing`
          : `${globals.file}, the roles that belong to it, cannot be read: ${error.message}`,
      );
    },
  );
  requireSameGlobals(content, globals, globals.file);
}

/** Throws a Stop unless these are the bytes that the manifest recorded. */
export function requireSameGlobals(content: Buffer, { sha256 }: Globals, shown: string): void {
  if (sha256Of(content) === sha256) return;
  throw refuse(
    `${shown} is corrupt: its bytes are not those that the manifest recorded (sha256 ${sha256.slice(0, 12)}…)`,
  );
}

async function dumpGlobals(rolePasswords: boolean, client: RunAs, signal: AbortSignal): Promise<Buffer> {
  const args = [
    "--globals-only",
    "--no-password",
    ...(rolePasswords ? [] : ["--no-role-passwords"]),
    `--dbname=dbname=postgres application_name='${DUMP_SESSION}'`,
  ];
  const { process, output, finished } = startReader("pg_dumpall", args, "pipe", signal, client);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of output) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LARGEST_BYTES) process.kill("SIGKILL");
  }
  const end = await finished;
  if (signal.aborted) throw signal.reason;
  if (end.code !== 0)
    throw new Stop(EXIT.failed, `pg_dumpall --globals-only failed with ${describeEnd(end)}.`, SEE_THE_SERVER);
  const text = Buffer.concat(chunks);
  if (text.includes(COMPLETE)) return text;
  throw new Stop(
    EXIT.failed,
    "pg_dumpall ended without its completion line, so the roles are not whole.",
    SEE_THE_SERVER,
  );
}
