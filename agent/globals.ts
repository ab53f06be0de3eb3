import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { manifestName } from "./backup-name.ts";
import { describeEnd, startReader } from "./child-process.ts";
import { DUMP_SESSION } from "./dump.ts";
import { openPartial, type PartialFile } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { Manifest } from "./manifest.ts";
import { refuse } from "./refuse.ts";
import type { AgentSettings } from "./settings.ts";

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
 * Writes what a dump of one database leaves out, because it belongs to the server: its roles and tablespaces. Without the
 * roles' passwords unless they are asked for; only a superuser can read these. Throws a Stop, and leaves nothing.
 */
export async function writeGlobals(
  settings: AgentSettings,
  backup: string,
  rolePasswords: boolean,
  signal: AbortSignal,
): Promise<WrittenGlobals> {
  const file = globalsName(backup) as string;
  const text = await dumpGlobals(rolePasswords, signal);
  const partial = await openPartial(settings.backupDir, settings.stack, file);
  try {
    await partial.handle.writeFile(text);
  } catch (error) {
    await partial.discard();
    throw new Stop(
      EXIT.noSpace,
      `${file} could not be written to ${settings.backupDirShown}: ${(error as Error).message}.`,
      "Free some space there, then run the same command again.",
    );
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

export function sha256Of(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

async function dumpGlobals(rolePasswords: boolean, signal: AbortSignal): Promise<Buffer> {
  const args = [
    "--globals-only",
    "--no-password",
    ...(rolePasswords ? [] : ["--no-role-passwords"]),
    `--dbname=dbname=postgres application_name='${DUMP_SESSION}'`,
  ];
  const { process, output, finished } = startReader("pg_dumpall", args, "pipe", signal);
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
    throw new Stop(EXIT.failed, `pg_dumpall --globals-only failed with ${describeEnd(end)}.`);
  const text = Buffer.concat(chunks);
  if (text.includes(COMPLETE)) return text;
  throw new Stop(EXIT.failed, "pg_dumpall ended without its completion line, so the roles are not whole.");
}
