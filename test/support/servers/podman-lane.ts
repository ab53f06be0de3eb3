import { type PodmanKind, startPodman } from "./podman.ts";

const KINDS: readonly PodmanKind[] = ["rootful", "rootless"];

/**
 * With `TEST_PODMAN=rootful` or `rootless`, the tests of a project run on a Podman that is started for them, in place of the engine of this
 * machine. Tests that start a Podman themselves would wait for it.
 */
export default async function podmanLane(): Promise<(() => Promise<void>) | undefined> {
  const asked = process.env.TEST_PODMAN;
  if (!asked) return undefined;
  const kind = KINDS.find(kind => kind === asked);
  if (kind === undefined) throw new Error(`TEST_PODMAN is ${asked}, and there is ${KINDS.join(" and ")}.`);
  const podman = await startPodman(kind);
  process.env.DOCKER_HOST = podman.engine.host;
  return podman.stop;
}
