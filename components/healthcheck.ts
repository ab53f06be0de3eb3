import type { types } from "@pulumi/docker";

interface Timing {
  everySeconds: number;
  timeoutSeconds: number;
  /** How long a container that starts may fail without being called unhealthy. */
  startSeconds: number;
  /** How many times in a row it must fail to be called unhealthy. */
  retries: number;
}

/**
 * A healthcheck as every engine reads it back: each field is set, because the engines fill in different ones; and no word of
 * the command has a space in it, because Podman cuts it there.
 */
export function healthcheck(command: readonly string[], timing: Timing): types.input.ContainerHealthcheck {
  return {
    tests: ["CMD", ...command],
    interval: duration(timing.everySeconds),
    timeout: duration(timing.timeoutSeconds),
    startPeriod: duration(timing.startSeconds),
    startInterval: "0s",
    retries: timing.retries,
  };
}

/** As Go writes one, which is how it is read back: `1m30s`. */
function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
