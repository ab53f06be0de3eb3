import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { PartialFile } from "../base/durable-file.ts";
import { TRY_AGAIN } from "../base/next-steps.ts";
import type { Progress } from "../base/reporter.ts";
import type { DumpFingerprint } from "../dump/fingerprint.ts";
import { type Dumping, requireComplete } from "../dump/pg-dump.ts";

/** What is known of a dump once it is written. */
export interface Content {
  fingerprint: DumpFingerprint;
  /** Of the file. */
  sha256: string;
  /** As a manifest has it. */
  contentSha256: string;
}

/** What one format's writer is given. */
export interface Writing {
  settings: AgentSettings;
  dumping: Dumping;
  /** Empty, and to be filled through its handle or its sink. */
  partial: PartialFile;
  /** How many may dump at once, where the format knows more than one. */
  connections: number;
  progress: Progress;
}

/** Throws a Stop for what cannot be read back. It was never a backup, so no other backup is the way out. */
export async function readBack<T extends DumpFingerprint | Pick<Content, "fingerprint">>(
  database: string,
  read: () => Promise<T>,
): Promise<T> {
  try {
    const found = await read();
    requireComplete(database, "fingerprint" in found ? found.fingerprint : found);
    return found;
  } catch (error) {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    throw new Stop(EXIT.failed, `pg_dump of ${database} succeeded, and ${error.message}`, TRY_AGAIN);
  }
}
