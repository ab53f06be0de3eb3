import type { ContainerArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { isDatabase } from "./data-volume.ts";
import { CONTAINER, ofType } from "./resource-of-type.ts";
import { eachKnown } from "./unknown-values.ts";

const POSTGRES = 5432;

export const databaseIsNotPublic: ResourceValidationPolicy = {
  name: "database-is-not-public",
  description: "PostgreSQL is published on this machine's own address alone, or nowhere.",
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
      report(
        `The container ${name} publishes port ${port.internal} on ${port.ip || "every address"} of the machine: the database ` +
          'would be open to the network, past the machine\'s firewall. Type: ip: "127.0.0.1" beside the port, or ' +
          "npm run pulumi -- config rm budgie:databasePort",
      );
    });
  }),
};

function isLoopback(address: string): boolean {
  return /^127\.\d+\.\d+\.\d+$/.test(address) || address === "::1";
}
