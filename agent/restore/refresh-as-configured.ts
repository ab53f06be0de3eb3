import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { ObjectStore } from "../../object-store/client.ts";
import { type AgentSettings, REFRESH_DIRECTORY, type RefreshSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { type BucketPlace, parseRefreshSource } from "../../shared/refresh-source.ts";
import type { Reporter } from "../base/reporter.ts";
import { recordFailed } from "../catalogue/last-run.ts";
import { parseIdentities } from "../encryption/age-identity.ts";
import { openBucketOf } from "../store/bucket-credentials.ts";
import { type Mask, statementsOf } from "./mask.ts";
import { atItsPlace, refresh, requireTarget } from "./refresh.ts";
import { type ChosenBackup, chooseInBucket, chooseInFolder } from "./refresh-choice.ts";
import { withNewestOverSsh } from "./refresh-over-ssh.ts";
import { dropEarlierRefreshed, noteRefreshed } from "./refreshed-databases.ts";
import type { Restored } from "./restoring.ts";

const UP = "npm run pulumi -- up";

/**
 * Refreshes the stack as budgie:refreshFrom and what belongs to it say. What earlier ones have set aside is deleted once this one is
 * done, so that repeated refreshes take the room of one. Throws a Stop; then the database is as it was.
 */
export async function refreshAsConfigured(
  settings: AgentSettings,
  { withoutSafetyBackup }: { withoutSafetyBackup: boolean },
  report: Reporter,
): Promise<Restored> {
  const configured = requireConfigured(settings);
  const { fromStack } = configured;
  const operation = `refresh from ${fromStack}`;
  // What is under the lock notes itself how it ended.
  let begun = false;
  const run = (mask: Mask, chosen: ChosenBackup) => {
    begun = true;
    const nextElsewhere = nextFor(configured);
    const options = {
      fromStack,
      mask,
      chosen,
      allowProduction: false,
      withoutSafetyBackup,
      operation,
      nextElsewhere,
    };
    return refresh(settings, options, report);
  };
  const prepareAndRun = async () => {
    // The stack's settings refuse it as well; nothing here depends on that.
    requireTarget(settings, fromStack, false);
    const mask = await readConfiguredMask(configured);
    return withChosen(settings, configured, report, chosen => run(mask, chosen));
  };
  const restored = await prepareAndRun().catch(async (error: unknown) => {
    const shown = inSettings(error, configured);
    if (!begun) await recordFailed(settings, "refresh", operation, shown);
    throw shown;
  });
  await noteRefreshed(settings, restored.previousDatabase)
    .then(() => dropEarlierRefreshed(settings, report))
    .catch((error: Error) =>
      report.warn(`What earlier refreshes have set aside is still there: ${error.message}`),
    );
  return restored;
}

function requireConfigured({ refresh }: AgentSettings): RefreshSettings {
  if (refresh !== null) return refresh;
  throw new Stop(
    EXIT.usage,
    "It is not clear from which stack: budgie:refreshFrom is not set.",
    "Say it: npx budgie refresh --from STACK --mask FILE.sql",
  );
}

/** What `pulumi up` gave the agent. Throws a Stop for what is no list of SQL statements. */
export async function readConfiguredMask({ maskFile, maskShown }: RefreshSettings): Promise<Mask> {
  const file = await readFile(maskFile).catch((error: Error) => {
    throw new Stop(
      EXIT.failed,
      `The mask ${maskShown} is not in the agent's container: ${error.message}.`,
      `Have the stack make the agent anew: ${UP}`,
    );
  });
  return { shown: maskShown, statements: statementsOf(file, maskShown) };
}

/** What comes over ssh comes while `work` runs. */
async function withChosen<T>(
  settings: AgentSettings,
  configured: RefreshSettings,
  report: Reporter,
  work: (chosen: ChosenBackup) => Promise<T>,
): Promise<T> {
  const { fromStack, source } = configured;
  const place = parseRefreshSource(source);
  if (place?.kind === "ssh") {
    const identities = await readIdentities(configured);
    const server = { ...place, ...requireKey(configured), setting: "refreshSsh" } as const;
    return withNewestOverSsh(settings, server, { fromStack, identities }, report, work);
  }
  if (place?.kind === "s3") {
    const store = await openConfigured(settings, configured, place);
    return work(await chooseInBucket(settings, store, { fromStack, backup: null }, report));
  }
  const next = `Prove one there: npx budgie --stack ${fromStack} drill. Then: npx budgie refresh`;
  const folder = { path: REFRESH_DIRECTORY, shown: source };
  return work(await chooseInFolder(settings, folder, { fromStack, backup: null, next }, report));
}

function requireKey({ fromStack, ssh }: RefreshSettings): NonNullable<RefreshSettings["ssh"]> {
  if (ssh !== null) return ssh;
  throw new Stop(
    EXIT.failed,
    `The agent has no key for the machine with the backups of ${fromStack}.`,
    `Set budgie:refreshSshKey and budgie:refreshSshHostKey, then: ${UP}`,
  );
}

async function readIdentities({ identityFile }: RefreshSettings): Promise<readonly string[]> {
  return identityFile === null ? [] : parseIdentities(await readFile(identityFile, "utf8"));
}

const keys = z.object({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) });

/** Never says what the files hold: they are secrets. */
async function openConfigured(
  settings: AgentSettings,
  configured: RefreshSettings,
  place: BucketPlace,
): Promise<ObjectStore> {
  const { fromStack, readerFile } = configured;
  const reader = keys.safeParse(await readJson(readerFile));
  if (!reader.success)
    throw new Stop(
      EXIT.failed,
      `The agent has no credentials for the bucket of ${fromStack}.`,
      `Set budgie:refreshAccessKeyId and budgie:refreshSecretAccessKey, then: ${UP}`,
    );
  return openBucketOf(settings, fromStack, place, reader.data, await readIdentities(configured));
}

async function readJson(path: string | null): Promise<unknown> {
  if (path === null) return undefined;
  const text = await readFile(path, "utf8").catch(() => "");
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function nextFor({ source }: RefreshSettings): string {
  return `See that budgie:refreshSource (${source}) and its keys are right; docs/guide.md says what they may do. Then: npx budgie refresh`;
}

/** A command's flags do not help where nobody typed one. */
function inSettings(error: unknown, configured: RefreshSettings): unknown {
  const isElsewhere = parseRefreshSource(configured.source)?.kind !== "directory";
  const asked = atItsPlace(error, isElsewhere, nextFor(configured));
  if (!(asked instanceof Stop)) return asked;
  if (asked.next?.includes("--allow-production"))
    return new Stop(
      asked.code,
      asked.message,
      `By its settings no stack of production is refreshed. Take them out: npm run pulumi -- config rm budgie:refreshFrom, and its neighbours; then ${UP}`,
    );
  if (!asked.next?.includes("--identity")) return asked;
  return new Stop(
    asked.code,
    asked.message,
    `Set the private key that opens it: npm run pulumi -- config set --secret budgie:refreshIdentity < key.txt; then ${UP}`,
  );
}
