import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { totalRows } from "../manifest/manifest.ts";
import { operate } from "../operation/operate.ts";
import { candidateName } from "../server/candidate.ts";
import { databaseExists } from "../server/connection.ts";
import type { Lock } from "../server/database-lock.ts";
import { lookAtLive, withLookAfter } from "../server/live-look.ts";
import { withFilledCandidate } from "./fill-candidate.ts";
import { preflightBeside } from "./preflight.ts";
import { withRestoreSource } from "./restore-source.ts";
import type { RestoreOptions } from "./restoring.ts";
import { saveNothing } from "./safety-backup.ts";
import { nameCandidate } from "./swap.ts";

/** What was loaded beside the live database. */
export interface LoadedInto {
  source: string;
  /** The new database. */
  into: string;
  tables: number;
  rows: number;
  notCompared: string[];
}

/** PostgreSQL cuts off what is longer, and would then mean another name. */
const LONGEST_NAME = 63;
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const SERVERS_OWN = ["postgres", "template0", "template1"];
/** As restores name what they load and what they set aside, of this database or one of another name. */
const RESTORES_OWN = /_candidate(?:_schema)?$|_before_\d{8}_\d{6}$/;

/** Throws a Stop for a name that no new database may have, whatever there is on the server. */
export function requireNewName(database: string, name: string): void {
  const why = whyNoNewName(database, name);
  if (why === null) return;
  throw new Stop(
    EXIT.usage,
    `${JSON.stringify(name)} ${why}.`,
    "Take another name, for instance: --into looking_back",
  );
}

function whyNoNewName(database: string, name: string): string | null {
  if (!PLAIN_NAME.test(name))
    return "is no name for it: a name has only letters, digits, _ and -, and begins with a letter or _";
  if (name.length > LONGEST_NAME) return `is longer than the ${LONGEST_NAME} characters that a name may have`;
  if (SERVERS_OWN.includes(name)) return "is the server's own";
  if (name === database) return "is the live database, whose place a restore takes without --into";
  if (RESTORES_OWN.test(name)) return "is a name that restores give to databases of their own";
  return null;
}

/**
 * Loads a backup beside the live database, compares it, and leaves it there under a name that no database has. Reads the live one
 * for its locale and grants only. The name is given last, in one step: a kill leaves either what the next operation clears away, or the
 * whole database under its name.
 */
export function restoreInto(
  settings: AgentSettings,
  options: RestoreOptions,
  name: string,
  report: Reporter,
): Promise<LoadedInto> {
  requireNewName(settings.database, name);
  return operate(settings, { kind: "beside", name: "restore --into" }, report, async lock => {
    await requireFree(lock, name);
    return withRestoreSource(settings, options, report, async given => {
      const restoring = { settings, lock, report };
      const { source, known } = await preflightBeside(restoring, options, given);
      const before = await lookAtLive(lock.session, settings);
      const candidate = candidateName(settings.database);
      const filling = { source, known, candidate, save: saveNothing };
      try {
        const { content, compared } = await withFilledCandidate(restoring, options, filling, async filled => {
          report.info(`Step 4/5: giving it the name ${name}`);
          await requireFree(lock, name);
          await nameCandidate(settings, lock, candidate, name);
          return filled;
        });
        const { tables } = content;
        const rows = totalRows(tables);
        report.done(`Loaded into ${name}. Tables: ${tables.length}, rows: ${rows}`);
        report.info(`${settings.database} is as it was. No backup holds ${name}`);
        report.info(`Look at it: npx budgie psql -- -d ${name}`);
        report.info(`Delete it when you are done: npx budgie psql -- -c 'DROP DATABASE "${name}"'`);
        const { notCompared } = compared;
        return { source: source.name, into: name, tables: tables.length, rows, notCompared };
      } catch (error) {
        throw await withLookAfter(error, before, lock.session, settings, null);
      }
    });
  });
}

async function requireFree({ session }: Lock, name: string): Promise<void> {
  if (!(await databaseExists(session, name))) return;
  throw new Stop(
    EXIT.usage,
    `There is a database ${name} already, and it stays as it is.`,
    `Take another name, or, if nobody needs that database, delete it first: npx budgie psql -- -c 'DROP DATABASE "${name}"'`,
  );
}
