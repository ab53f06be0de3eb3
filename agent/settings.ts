import { z } from "zod";
import { EXIT, Stop } from "./exit-codes.ts";

/** The agent's whole environment. Passwords are not in it: libpq and pg read them from the file at PGPASSFILE. */
const environment = z.object({
  PGHOST: z.string().min(1),
  PGPORT: z.coerce.number().int().min(1).max(65535).default(5432),
  PGUSER: z.string().min(1),
  PGDATABASE: z.string().min(1).max(40),
  BUDGIE_STACK: z.string().min(1),
  BUDGIE_BACKUP_DIR: z.string().startsWith("/"),
  BUDGIE_BACKUP_DIR_SHOWN: z.string().min(1).optional(),
  BUDGIE_BACKUP_FORMAT: z.enum(["sql", "sql.gz"]).default("sql"),
});

export interface AgentSettings {
  host: string;
  port: number;
  user: string;
  database: string;
  stack: string;
  /** Where the backups are, as the agent sees it. */
  backupDir: string;
  /** The same place as the operator wrote it, for what is printed. */
  backupDirShown: string;
  format: BackupFormat;
}

export type BackupFormat = "sql" | "sql.gz";

/** Throws a Stop that lists everything wrong at once. */
export function readSettings(env: NodeJS.ProcessEnv): AgentSettings {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(issue => `${issue.path.join(".")}: ${issue.message}`).join("; ");
    throw new Stop(
      EXIT.usage,
      `The backup agent's environment is not usable: ${wrong}.`,
      "The stack sets these variables; run `pulumi up` to put them right.",
    );
  }
  const e = parsed.data;
  return {
    host: e.PGHOST,
    port: e.PGPORT,
    user: e.PGUSER,
    database: e.PGDATABASE,
    stack: e.BUDGIE_STACK,
    backupDir: e.BUDGIE_BACKUP_DIR,
    backupDirShown: e.BUDGIE_BACKUP_DIR_SHOWN ?? e.BUDGIE_BACKUP_DIR,
    format: e.BUDGIE_BACKUP_FORMAT,
  };
}
