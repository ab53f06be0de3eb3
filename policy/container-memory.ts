import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { CONTAINER, ofType } from "./resource-of-type.ts";

export const memoryIsLimited: ResourceValidationPolicy = {
  name: "memory-is-limited",
  description: "No container can take the memory, or the swap space, that the others need.",
  severity: "medium",
  validateResource: ofType<ContainerArgs>(CONTAINER, ({ memory, memorySwap }, { name }, report) => {
    if (!memory) {
      report(
        `The container ${name} may take all memory, and the kernel then ends whichever program it likes, the database ` +
          "among them. Type: memory: 512, memorySwap: 512",
      );
    } else if (!memorySwap || memorySwap < memory) {
      report(
        `The container ${name} has its memory limited and not what is swapped out: it slows down the whole machine before ` +
          `it stops. Type: memorySwap: ${memory}`,
      );
    }
  }),
};
