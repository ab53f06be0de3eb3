import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { CONTAINER, ofType } from "./resource-of-type.ts";

const FIELDS = ["interval", "timeout", "startPeriod", "startInterval", "retries"] as const;

export const containersAreChecked: ResourceValidationPolicy = {
  name: "containers-are-checked",
  description: "Every container has a healthcheck of its own, spelt out in full.",
  severity: "medium",
  validateResource: ofType<ContainerArgs>(CONTAINER, ({ healthcheck }, { name }, report) => {
    const [kind, ...words] = healthcheck?.tests ?? [];
    if (!kind || kind === "NONE" || words.length === 0) {
      report(
        `The container ${name} has no healthcheck: it counts as well as long as its process lives, whatever that does. ` +
          'Type: healthcheck: healthcheck(["PROGRAM", "ARGUMENT"], …), from components/containers/inputs.ts',
      );
      return;
    }
    const missing = FIELDS.filter(field => healthcheck?.[field] === undefined);
    if (missing.length > 0) {
      report(
        `The healthcheck of the container ${name} leaves ${missing.join(", ")} to the engine. Docker and Podman fill in ` +
          "different values, and the container is replaced after every refresh. Type them all.",
      );
    }
    if (words.some(word => word.includes(" "))) {
      report(
        `A word of the healthcheck of the container ${name} has a space in it, where Podman cuts it in two. ` +
          "Type the command as words without spaces, or as a script of its own.",
      );
    }
  }),
};
