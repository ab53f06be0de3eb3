/** How long the toolchain waits for sites and registries. */

/** How often a download is begun. */
export const TRIES = 3;
/** Before the second and the third try, when the site does not say how long. */
export const PAUSES_MS = [1_000, 4_000];
/** A site that wants to be left alone for longer is left alone, and the operator is told until when. */
export const LONGEST_PAUSE_MS = 15_000;
/** A slow download may take as long as it takes; one that stands still for so long is cut off. */
export const SILENCE_MS = 30_000;
/** After this a site counts as out of reach. */
export const ANSWER_MS = 15_000;
/** How long the engine may be silent about a registry that answers nobody here, and about one that does. */
export const REGISTRY_SILENCE_MS = { outOfReach: 10_000, slow: 120_000 };
