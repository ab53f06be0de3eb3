import type Docker from "dockerode";
import { unlessMissing } from "./unless-missing.ts";

/** Whether there is such a container, and it does not run. Throws when the engine does not say. */
export async function isStopped(container: Docker.Container): Promise<boolean> {
  const found = await unlessMissing(container.inspect());
  return found !== undefined && ["exited", "stopped", "created"].includes(found.State.Status);
}
