import { readFile } from "node:fs/promises";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { handOver } from "./hand-over.ts";

/** Gives the agent the private key in a file of this machine, for its next command only. Throws a Stop when there is none. */
export async function handOverIdentity(stack: Stack, path: string): Promise<string> {
  const file = await readFile(path).catch((error: Error) => {
    throw new Stop(
      EXIT.usage,
      `The identity file ${path} cannot be read: ${error.message}.`,
      "Name the file that `age-keygen -o key.txt` wrote.",
    );
  });
  return handOver(stack, "keep-identity", "the identity", file);
}
