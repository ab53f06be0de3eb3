import { homedir } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "./cache.ts";

/**
 * The PULUMI_HOME for everything that is not wholly official, so that no stand-in ends up among the user's own plugins.
 */
export const standInHome = join(cacheFolder, "pulumi-home");

/** The user's own PULUMI_HOME, also in a shell that has the toolchain's. */
export function ownHome(): string {
  const set = process.env.PULUMI_HOME;
  return set && set !== standInHome ? set : join(homedir(), ".pulumi");
}
