import type Docker from "dockerode";

/** Whether there is such a container, and it does not run. Throws when the engine does not say. */
export async function isStopped(container: Docker.Container): Promise<boolean> {
  try {
    const { State: state } = await container.inspect();
    return ["exited", "stopped", "created"].includes(state.Status);
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return false;
    throw error;
  }
}
