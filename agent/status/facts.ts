import type { LastRun } from "../catalogue/last-run.ts";
import type { CopiesStatus } from "../copies/status.ts";
import type { PointInTimeStatus } from "../point-in-time/status.ts";
import type { NewestBackup, ProvenBackup, Recovery } from "./recovery.ts";
import type { RefreshStatus } from "./refresh-status.ts";
import type { NextBackup } from "./schedule-status.ts";
import type { ServerFigures } from "./server-figures.ts";

/** What is asked, each by itself. */
export const COLLECTORS = [
  "database",
  "server",
  "backups",
  "disk",
  "copies",
  "schedule",
  "point-in-time",
] as const;
export type Collector = (typeof COLLECTORS)[number];

/** What was found, before it is put into lines. */
export interface Facts extends CopiesStatus {
  /** One sentence for each thing that is not as it should be, worst first. */
  problems: string[];
  /** One sentence for each thing that is as it was set up, and less safe than it could be. */
  warnings: string[];
  stack: string;
  /** When all this was looked at. */
  at: string;
  /** null: it did not answer, or is not the right one. */
  database: { name: string; systemIdentifier: string; bytes: number; tables: number } | null;
  /** null: it did not answer. */
  server: ServerFigures | null;
  /** Databases that restores set aside. */
  previousDatabases: string[];
  backups: {
    directory: string;
    count: number;
    freeBytes: number;
    newest: NewestBackup | null;
    /** The newest one that a drill has proven. */
    newestProven: ProvenBackup | null;
  };
  lastRun: LastRun | null;
  lastDrill: LastRun | null;
  /** Of point in time. */
  lastPointInTimeDrill: LastRun | null;
  /** When the next backup starts by itself. */
  next: NextBackup;
  /** How far the database can be gone back to any moment; null where the stack has it switched off. */
  pointInTime: PointInTimeStatus | null;
  recovery: Recovery;
  /** The last restore that somebody asked for; null when none is known of. */
  lastRestore: LastRun | null;
  /** The stack whose data this one takes over; null where it takes over none. */
  refresh: RefreshStatus | null;
  /** The last such refresh; null when none is known of. */
  lastRefresh: LastRun | null;
  /** Whether each question was answered. */
  collectors: Record<Collector, boolean>;
  /** Of the programs; null where it is not known. */
  versions: { server: string | null; pgDump: string | null; node: string };
}
