import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { createRoles } from "../load/fitting-server.ts";
import { type Brought, withForeignContent } from "../load/foreign-file.ts";
import { readDatabaseTraits } from "../server/database-traits.ts";
import { endSessionsIn } from "../server/end-sessions.ts";
import { createLoader, dropLoader, giveToOwner } from "../server/loader-role.ts";
import { createCandidate } from "./candidate.ts";
import { compareCandidate, loadWhole, mayGoOnAtOnce, withCandidate } from "./load-candidate.ts";
import { runMask } from "./mask.ts";
import { missingRoles } from "./preflight.ts";
import type { Filled, Filling, Restoring } from "./restoring.ts";

const { escapeIdentifier } = pg;

/** As the agent's own pg_dump writes it. */
const READ_OUT = { lcMonetary: null, inSeveralBlocks: new Set<string>() };

/**
 * Everything between the preflight and the swap, for a file that this stack did not write. What it holds is read out of a
 * throw-away server, and loaded by a role that may only fill the candidate. Only then is it given to the stack's own role.
 */
export async function fillFromForeign(restoring: Restoring, filling: Filling): Promise<Filled> {
  const { settings, lock, report } = restoring;
  const { source, known, candidate, save, mask } = filling;
  const { session } = lock;
  const atOnce = await mayGoOnAtOnce(restoring, filling);
  const safetyBackup = await save(restoring);
  report.info(
    `Step 2/5: loading ${source.name} into a throw-away server first, because this stack did not write it; its content goes on to ${candidate}`,
  );
  sayOwners(await missingRoles(session, known), settings, report);
  return withForeignContent(settings, source, known, report, async (read, brought) => {
    const login = await createLoader(session);
    await createCandidate(session, settings, candidate, login.user);
    if (mask) await shutOut(session, candidate);
    const written = { ...READ_OUT, atOnce };
    const filled = await withCandidate(restoring, candidate, login, written, async database => {
      const loaded = await loadWhole(read, source.shown, database, async ({ content }) => {
        if (!content.complete) throw new Error("what was read out of the throw-away server is not whole");
      });
      const compared = await compareCandidate(loaded, source.name, report);
      return { safetyBackup, content: loaded.content, compared };
    });
    if (mask) {
      report.info(`Running the mask ${mask.shown} in it: ${mask.statements.length} statements`);
      await runMask(settings, candidate, login, mask, lock.lost);
      // As it is in a new database. The live one's own grants are carried over later.
      await session.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${escapeIdentifier(candidate)} TO PUBLIC`);
    }
    const traits = await readDatabaseTraits(session, settings.database);
    await giveToOwner(settings, candidate, traits?.owner ?? settings.user);
    await dropLoader(session);
    sayWhatCame(brought, settings, report);
    return filled;
  });
}

/** From now on only superusers and the database's owner can connect, and nobody has done so before. */
async function shutOut(session: pg.Client, candidate: string): Promise<void> {
  await session.query(`REVOKE ALL ON DATABASE ${escapeIdentifier(candidate)} FROM PUBLIC`);
  await endSessionsIn(session, [candidate]);
}

function sayOwners(missing: readonly string[], { user }: AgentSettings, report: Reporter): void {
  report.warn(
    missing.length === 0
      ? `Owners and grants of the file are left out: everything will belong to ${user}`
      : `Owners and grants of the file are left out, and this server lacks roles that it names: ${missing.join(", ")}. Everything will belong to ${user}. To have them as in the file, make them in \`npx budgie psql\`: ${createRoles(missing)} Then restore it with --trust-file`,
  );
}

function sayWhatCame({ functions, triggers }: Brought, { user }: AgentSettings, report: Reporter): void {
  if (functions + triggers === 0) return;
  report.warn(
    `The file brought ${functions} functions and ${triggers} triggers along. From now on they run with the rights of whoever uses them, ${user} among them: look at them if you do not know the file`,
  );
}
