import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { isProductionName } from "../../shared/production-name.ts";
import type { Reporter } from "../base/reporter.ts";
import type { Mask } from "./mask.ts";
import type { ChosenBackup } from "./refresh-choice.ts";
import { restore } from "./restore.ts";
import type { Restored } from "./restoring.ts";

/** How a refresh was asked for. */
export interface RefreshOptions {
  /** The stack whose data is wanted. */
  fromStack: string;
  chosen: ChosenBackup;
  mask: Mask | null;
  allowProduction: boolean;
  withoutSafetyBackup: boolean;
  /** What its end is remembered as, where that is kept apart from other restores. */
  operation?: string;
  /** What to type where its bucket, or the machine with it, does not let anybody in. */
  nextElsewhere: string;
}

/**
 * Puts another stack's backup in the place of this stack's database, masked before anybody can connect to it. It goes through the door of
 * every restore, as a file that this stack did not write: what is there now is backed up, and kept.
 */
export async function refresh(
  settings: AgentSettings,
  options: RefreshOptions,
  report: Reporter,
): Promise<Restored> {
  const { fromStack, chosen, mask, allowProduction, withoutSafetyBackup, operation } = options;
  const { source, shown, reader, contentSha256, incoming } = chosen;
  requireTarget(settings, fromStack, allowProduction);
  if (mask === null)
    report.warn(
      `There is no --mask: all data of ${fromStack} will be here as it is, the hashes of passwords and open sessions too`,
    );
  const restored = await restore(
    settings,
    {
      source,
      fromStack,
      shown,
      refresh: { mask, contentSha256, operation },
      trustFile: false,
      withoutSafetyBackup,
      stdin: incoming?.content ?? process.stdin,
      reader,
      identities: incoming?.identities ?? [],
    },
    report,
  ).catch((error: unknown) => {
    const named = source === "-" || source.startsWith("/") ? "FILE" : source;
    const isElsewhere = reader !== null || incoming !== undefined;
    throw atItsPlace(withoutTrust(error, named, fromStack), isElsewhere, options.nextElsewhere);
  });
  if (mask !== null)
    report.info(
      "What the mask did not change is as it was, the hashes of passwords and open sessions too, unless it changes them",
    );
  return restored;
}

/** What needs all rights cannot be masked first: whoever runs the mask has none outside of the candidate. */
export function withoutTrust(error: unknown, source: string, fromStack: string): unknown {
  if (!(error instanceof Stop) || !error.next?.includes("--trust-file")) return error;
  return new Stop(
    error.code,
    error.message,
    `A refresh gives no such rights. If its data may be here unmasked for a while: npx budgie restore ${source} --from-stack ${fromStack} --trust-file; then run the mask in it: npx budgie psql < MASK.sql`,
  );
}

/** What there is to type next is about this stack's own bucket and server, and these are another one's. */
export function atItsPlace(error: unknown, isElsewhere: boolean, next: string): unknown {
  const isStores =
    error instanceof Stop && (error.code === EXIT.storeUnreachable || error.code === EXIT.storeRefused);
  return isElsewhere && isStores ? new Stop(error.code, error.message, next) : error;
}

/** Throws a Stop for a stack that is not to be replaced by another one's data. */
export function requireTarget(
  { stack }: Pick<AgentSettings, "stack">,
  fromStack: string,
  allowProduction: boolean,
): void {
  if (fromStack === stack)
    throw new Stop(
      EXIT.usage,
      `${stack} cannot be refreshed from itself.`,
      `To go back to a backup of its own: npx budgie restore latest. To refresh another stack: npx budgie --stack OTHER refresh --from ${stack}`,
    );
  if (isProductionName(stack) && !allowProduction)
    throw new Stop(
      EXIT.notConfirmed,
      `${stack} is a stack of production by its name, and a refresh puts the data of ${fromStack} in the place of its own.`,
      "If that is meant: the same command with --allow-production. To refresh another stack: npx budgie --stack OTHER refresh …",
    );
}
