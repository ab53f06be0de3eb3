import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { CONTAINER, ofType } from "./resource-of-type.ts";

export const containersRestart: ResourceValidationPolicy = {
  name: "containers-restart",
  description: "Every container starts again after a crash and after a reboot.",
  severity: "medium",
  validateResource: ofType<ContainerArgs>(CONTAINER, (container, { name }, report) => {
    if (container.restart === "unless-stopped" || container.restart === "always") return;
    report(
      `The container ${name} has ${container.restart ? `the restart policy ${container.restart}` : "no restart policy"}: after ` +
        'a reboot it stays down, and its backups with it. Type: restart: "unless-stopped"',
    );
  }),
};
