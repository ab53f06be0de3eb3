// What the stack's containers may do and have. It is spelt as every engine reads it back: otherwise a refresh would show
// a difference.
import type { types } from "@pulumi/docker";

type Capability = "CHOWN" | "DAC_OVERRIDE" | "FOWNER" | "KILL" | "SETGID" | "SETUID";

/** No capability of the kernel but those named. Written without CAP_, they would replace the container after every refresh. */
export function capabilities(...needed: Capability[]): types.input.ContainerCapabilities {
  return { drops: ["ALL"], ...(needed.length > 0 ? { adds: needed.map(name => `CAP_${name}`) } : {}) };
}

/** How much memory a container may have. */
interface MemoryLimit {
  /** In MB. */
  memory: number;
  /** With what may be swapped out, in MB. */
  memorySwap: number;
}

/**
 * Nothing of it is swapped out. A container that needs more is ended and started again, and no other program of the
 * machine waits for the disk. The page cache counts too, but gives way.
 */
export function memoryLimit(megabytes: number): MemoryLimit {
  return { memory: megabytes, memorySwap: megabytes };
}

interface Timing {
  everySeconds: number;
  timeoutSeconds: number;
  /** How long a container that starts may fail without being called unhealthy. */
  startSeconds: number;
  /** How many times in a row it must fail to be called unhealthy. */
  retries: number;
}

/**
 * Every field is set, because the engines fill in different ones. No word of the command may have a space in it: Podman
 * cuts it there.
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
