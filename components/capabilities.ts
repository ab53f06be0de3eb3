import type { types } from "@pulumi/docker";

type Capability = "CHOWN" | "DAC_OVERRIDE" | "FOWNER" | "KILL" | "SETGID" | "SETUID";

/**
 * No capability of the kernel but those named. They are spelt as the engine reads them back: without CAP_ the container would
 * be replaced after every refresh.
 */
export function capabilities(...needed: Capability[]): types.input.ContainerCapabilities {
  return { drops: ["ALL"], ...(needed.length > 0 ? { adds: needed.map(name => `CAP_${name}`) } : {}) };
}
