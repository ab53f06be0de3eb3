import { isProductionName } from "../shared/production-name.ts";
import { NAMESPACE, type Problem, removeCommand, setCommand } from "./definition.ts";
import type { OffsiteValues } from "./offsite.ts";
import { offsiteDefinitions } from "./offsite.ts";

/**
 * A production stack has its backups on another machine too, or says that it has not. To say so while it has them there
 * is refused as well: nobody would notice the day on which the other place is taken away.
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
  if (elsewhere || accepted || !isProductionName(stack)) return [];
  return [
    {
      what:
        `${NAMESPACE}:objectStore is ${kind}, and there is no ${NAMESPACE}:offsiteSsh: all backups of ${stack} would be on one machine with its data. ` +
        `${NAMESPACE}:backupsOnThisMachineOnly true accepts that.`,
      type: setCommand("objectStore", offsiteDefinitions.objectStore),
    },
  ];
}
