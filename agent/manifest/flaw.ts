import type { Signature } from "./mac.ts";

/** Says any of the three below, where it does not matter which. */
export const NOT_AUTHENTIC = "its manifest was not written by this stack's agent, or was changed since";

export const CHANGED = "its manifest was changed since this stack's agent wrote it";
const SIGNED_BY_ANOTHER = "its manifest is signed with another key than this stack's";
const NOT_SIGNED = "its manifest is not signed by this stack's agent";

/** Why a backup does not count, by its manifest's signature: a manifest that was changed is known to be wrong. */
export function changedFlaw(signature: Signature): string | null {
  return signature === "wrong" ? CHANGED : null;
}

/** The same for a manifest that may be as it was written, but nobody knows by whom. Ask it last: any other flaw says more. */
export function foreignFlaw(signature: Signature): string | null {
  if (signature === "of another key") return SIGNED_BY_ANOTHER;
  return signature === "none" ? NOT_SIGNED : null;
}

/** Whether a backup's only known flaw is that this stack's agent did not sign its manifest. */
export function isForeignOnly(flaw: string | null): boolean {
  return flaw === SIGNED_BY_ANOTHER || flaw === NOT_SIGNED;
}
