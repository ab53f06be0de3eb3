import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import type { RestoreSource } from "../catalogue/backup-source.ts";
import type { DumpContent } from "../dump/fingerprint.ts";
import type { KnownDump } from "../load/known-dump.ts";
import type { Compared } from "../load/load-and-compare.ts";
import type { Lock } from "../server/database-lock.ts";
import type { Mask } from "./mask.ts";
import type { SourceOptions } from "./restore-source.ts";

/** How a restore was asked for. */
export interface RestoreOptions extends SourceOptions {
  /** The stack whose backup may be restored here besides this one's own. */
  fromStack: string | null;
  /** Whether a file that this stack did not write is loaded as it is, with all rights: it can then do anything to the server. */
  trustFile: boolean;
  /** Whether to go on without saving what is there: the swap keeps it, but not as a backup. */
  withoutSafetyBackup: boolean;
  /** Whether another stack's data is wanted here, and what is to be taken out of it first. */
  refresh?: {
    mask: Mask | null;
    /** What that stack's own agent says that the backup holds; null where only the manifest beside it says so. */
    contentSha256: string | null;
    /** What its end is remembered as, apart from other restores; undefined: as theirs. */
    operation?: string | undefined;
  };
}

/** How it ended. */
export interface Restored {
  source: string;
  database: string;
  tables: number;
  rows: number;
  /** The safety backup's name; null when there was no database to save. */
  safetyBackup: string | null;
  /** Where the database that was there is now; null when there was none. */
  previousDatabase: string | null;
  notCompared: string[];
  /** Logical replication slots of the database that was replaced: they stay with it. */
  slotsLeftBehind: string[];
}

/** What every step of a restore needs. */
export interface Restoring {
  settings: AgentSettings;
  lock: Lock;
  report: Reporter;
}

/** What fills the candidate. */
export interface Filling {
  source: RestoreSource;
  known: KnownDump;
  /** The candidate's name. */
  candidate: string;
  save: SaveFirst;
  /** What runs in the candidate once it is compared, before anybody else can connect to it. */
  mask?: Mask | null;
}

/** Saves what is there; returns the backup's name, or null where there is nothing to save. */
export type SaveFirst = (restoring: Restoring) => Promise<string | null>;

/** What came of it. */
export interface Filled {
  /** The safety backup's name; null when there was no database to save, or none was wanted. */
  safetyBackup: string | null;
  content: DumpContent;
  compared: Compared;
}
