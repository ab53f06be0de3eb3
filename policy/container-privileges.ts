import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { CONTAINER, ofType } from "./resource-of-type.ts";

/** What an image needs that starts as root, gives its files to an ordinary user, and becomes that user. */
const HARMLESS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];

export const capabilitiesAreDropped: ResourceValidationPolicy = {
  name: "capabilities-are-dropped",
  description: "No container has rights over the machine: the kernel's capabilities are dropped.",
  severity: "high",
  validateResource: ofType<ContainerArgs>(CONTAINER, (container, { name }, report) => {
    const { drops = [], adds = [] } = container.capabilities ?? {};
    if (container.privileged) {
      report(
        `The container ${name} is privileged: whoever gets into it has the machine. Type: privileged: false`,
      );
    }
    if (!drops.includes("ALL")) {
      report(
        `The container ${name} keeps the capabilities that the engine hands out, raw packets and device files among them. ` +
          'Type: capabilities: { drops: ["ALL"] }',
      );
    }
    const harmful = adds.filter(added => !HARMLESS.includes(added.replace(/^CAP_/, "")));
    if (harmful.length > 0) {
      report(
        `The container ${name} is given ${harmful.join(", ")}, which reaches beyond its own files and processes. ` +
          `Type: adds of no others than ${HARMLESS.map(harmless => `CAP_${harmless}`).join(", ")}`,
      );
    }
  }),
};

export const noNewPrivileges: ResourceValidationPolicy = {
  name: "no-new-privileges",
  description: "No program in a container gets more rights than it was started with.",
  severity: "medium",
  validateResource: ofType<ContainerArgs>(CONTAINER, ({ securityOpts = [] }, { name }, report) => {
    if (securityOpts.some(option => /^no-new-privileges(:true)?$/.test(option))) return;
    report(
      `In the container ${name} a program with the setuid bit makes root of anyone. ` +
        'Type: securityOpts: ["no-new-privileges:true"]',
    );
  }),
};
