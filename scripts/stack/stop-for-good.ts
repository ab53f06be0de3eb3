import type Docker from "dockerode";
import { STOP_WITHIN_SECONDS } from "../../engine/stop-line.ts";

const ALREADY_STOPPED = 304;

/** Stops a container, which a restart of its engine does not start again. */
export async function stopForGood(container: Docker.Container): Promise<void> {
  await container.update({ RestartPolicy: { Name: "no" } });
  await stop(container);
}

/** Stops a container that is to be started again as it is. Does nothing to one that does not run. */
export async function stop(container: Docker.Container): Promise<void> {
  await container.stop({ t: STOP_WITHIN_SECONDS }).catch((error: { statusCode?: number }) => {
    if (error.statusCode !== ALREADY_STOPPED) throw error;
  });
}
