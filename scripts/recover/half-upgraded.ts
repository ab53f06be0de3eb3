import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { emptiedInto, type KeptForUpgrade, type KeptVolume, keptVolumes } from "../volume/broken-volume.ts";
import { volumeFacts } from "../volume/volume-facts.ts";

/**
 * Throws a Stop where an upgrade has emptied the volume, or has not filled it again: a server that is started now would make a new
 * database there, and the backend would let people write into it.
 */
export async function requireNotHalfUpgraded(stack: Stack): Promise<void> {
  const begun = await unfinishedUpgrade(stack);
  if (!begun) return;
  const isAsItWas =
    (await volumeFacts(stack)).majorVersion === begun.upgrade.from && (await emptiedInto(stack)) === null;
  if (!isAsItWas) throw notEnded(stack, begun, "Nothing was started.");
}

type KeptByUpgrade = KeptVolume & { upgrade: KeptForUpgrade };

/** The volume in which an upgrade that has not ended keeps all of the data of before; undefined where there is none. */
export async function unfinishedUpgrade(stack: Stack): Promise<KeptByUpgrade | undefined> {
  return (await keptVolumes(stack)).find(
    (kept): kept is KeptByUpgrade => kept.stage === "replacing" && kept.upgrade !== null,
  );
}

/** @param so what was left alone, as a sentence */
export function notEnded({ prefix }: Stack, { name }: KeptVolume, so: string): Stop {
  return new Stop(
    EXIT.busy,
    `An upgrade of PostgreSQL was begun and has not ended; all of the data of before is in the volume ${name}. ${so}`,
    `To go on with it: npx budgie --stack ${prefix} upgrade. To go back: npx budgie --stack ${prefix} upgrade --undo`,
  );
}
