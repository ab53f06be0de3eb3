import { existsSync } from "node:fs";
import { EXIT, Stop } from "../../shared/exit-codes.ts";

/**
 * Pulumi puts the secret files into the container when it makes it. A tool that makes the container again from what it inspects
 * (Watchtower, Portainer) loses them. The next `up` sees that the container is another one (components/prepare/made-again.ts).
 */
export function lostSecretFile(path: string): Stop | null {
  if (existsSync(path)) return null;
  return new Stop(
    EXIT.failed,
    `The backup agent's secret files are missing (${path}): its container was made again by something else than the stack.`,
    "Have the stack make it anew: npm run pulumi -- up",
  );
}
