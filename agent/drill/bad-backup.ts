import { EXIT, Stop } from "../../shared/exit-codes.ts";

/** Something was learnt about the backup, and it is not good. Whatever else ends a trial says nothing of the backup. */
export class BadBackup extends Error {}

/** Runs `work`, in which a refusal is the backup's fault and not that of the circumstances. */
export async function heldAgainstIt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    throw new BadBackup(error.message.replace(/\.$/, ""));
  }
}
