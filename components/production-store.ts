import type { OffsiteValues } from "./offsite-settings.ts";
import { offsiteDefinitions } from "./offsite-settings.ts";
import { NAMESPACE, type Problem, removeCommand, setCommand } from "./setting-definition.ts";

/** `prod`, `production`, `prod-eu`, `acme.production`; not `reproduction`. */
const PRODUCTION = /(^|[^a-z0-9])prod(uction)?($|[^a-z0-9])/i;

/**
 * A production stack has its backups on another machine too, or says that it has not. Saying so while it has is refused as
 * well: it would hide the day on which the other place is taken away.
 */
export function productionStoreProblems(values: Partial<OffsiteValues>, stack: string): Problem[] {
  const { objectStore: kind, backupsOnThisMachineOnly: accepted } = values;
  // Not known while one of them is wrong alone.
  if (kind === undefined || accepted === undefined || !("offsiteSsh" in values)) return [];
  const elsewhere = kind === "aws" || kind === "s3" || values.offsiteSsh !== undefined;
  if (elsewhere && accepted) {
    return [
      {
        what: `${NAMESPACE}:backupsOnThisMachineOnly is true, and every backup is sent to another machine.`,
        type: removeCommand("backupsOnThisMachineOnly"),
      },
    ];
  }
  if (elsewhere || accepted || !PRODUCTION.test(stack)) return [];
  return [
    {
      what:
        `${NAMESPACE}:objectStore is ${kind}, and there is no ${NAMESPACE}:offsiteSsh: all backups of ${stack} would be on one machine with its data. ` +
        `${NAMESPACE}:backupsOnThisMachineOnly true accepts that.`,
      type: setCommand("objectStore", offsiteDefinitions.objectStore),
    },
  ];
}
