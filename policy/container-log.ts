import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { CONTAINER, ofType } from "./resource-of-type.ts";

/** These remove old lines by themselves. */
const ROTATING = ["local", "journald"];
const FIX = 'logDriver: "json-file", logOpts: { "max-size": "10m", "max-file": "5" }';

export const logsAreRotated: ResourceValidationPolicy = {
  name: "logs-are-rotated",
  description: "No container's log grows without end.",
  severity: "medium",
  validateResource: ofType<ContainerArgs>(CONTAINER, (container, { name }, report) => {
    const { logDriver, logOpts } = container;
    if (logDriver && ROTATING.includes(logDriver)) return;
    if (logDriver === "none") {
      report(`The container ${name} keeps no log, so nothing tells why it failed. Type: ${FIX}`);
    } else if (logDriver && logDriver !== "json-file") {
      report(
        `The container ${name} logs to ${logDriver}, which \`npx budgie logs\` cannot read, and whose size nothing here bounds. ` +
          `Type: ${FIX}`,
      );
    } else if (!logDriver || !logOpts?.["max-size"] || !logOpts["max-file"]) {
      report(
        `The log of the container ${name} grows without end and fills the disk that the database writes to. Type: ${FIX}`,
      );
    }
  }),
};
