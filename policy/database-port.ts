import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import type { Unwrap } from "@pulumi/pulumi";
import { LABEL } from "../shared/labels.ts";
import { isDatabase } from "./data-volume.ts";
import { CONTAINER, ofType } from "./resource-of-type.ts";
import { eachKnown } from "./unknown-values.ts";

const POSTGRES = 5432;

export const databaseIsNotPublic: ResourceValidationPolicy = {
  name: "database-is-not-public",
  description:
    "PostgreSQL is published on this machine's own address alone, for its replicas behind a certificate, or nowhere.",
  severity: "critical",
  validateResource: ofType<ContainerArgs>(CONTAINER, (container, { name }, report) => {
    const database = isDatabase(container);
    if (database && container.networkMode === "host") {
      report(
        `The database container ${name} shares the machine's network, so whoever reaches the machine reaches the database, ` +
          "past its firewall's rules for containers. Type: networksAdvanced: [{ name: network.name }], and no networkMode",
      );
    }
    eachKnown(container.ports, port => {
      if (!database && port.internal !== POSTGRES) return;
      if (port.ip && isLoopback(port.ip)) return;
      if (database && isForReplicas(container, port)) return;
      report(
        `The container ${name} publishes port ${port.internal} on ${port.ip || "every address"} of the machine: the database ` +
          'would be open to the network, past the machine\'s firewall. Type: ip: "127.0.0.1" beside the port, or ' +
          "npm run pulumi -- config rm budgie:databasePort",
      );
    });
  }),
};

/** The stack says so where it has set the server's rules: from elsewhere nobody comes in without a certificate of its own. */
function isForReplicas(
  { labels }: Unwrap<ContainerArgs>,
  { ip, external }: { ip?: string | undefined; external?: number | undefined },
): boolean {
  return (
    labels?.some(({ label, value }) => label === LABEL.replicasAt && value === `${ip}:${external}`) ?? false
  );
}

function isLoopback(address: string): boolean {
  return /^127\.\d+\.\d+\.\d+$/.test(address) || address === "::1";
}
