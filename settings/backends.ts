import { MAX_CONNECTIONS, MOST_BACKENDS, RESERVED_CONNECTIONS } from "../shared/connections.ts";
import { integer, NAMESPACE, type Problem, type SettingDefinition } from "./definition.ts";

export const backendsDefinitions = {
  backends: {
    schema: integer(1, MOST_BACKENDS),
    allowed: `a whole number from 1 to ${MOST_BACKENDS}. With more, each would have fewer than 4 of the ${MAX_CONNECTIONS - RESERVED_CONNECTIONS} connections that PostgreSQL has for them (${MAX_CONNECTIONS}, less ${RESERVED_CONNECTIONS} for backups and operators), while an update runs one more`,
    example: "3",
  },
} satisfies Record<string, SettingDefinition>;

interface Values {
  backends?: number;
  httpAddress?: string;
}

/** Settings that are fine alone and wrong together. */
export function backendsProblems({ backends = 1, httpAddress }: Values): Problem[] {
  if (backends === 1 || httpAddress === undefined || httpAddress === "0.0.0.0") return [];
  return [
    {
      what: `${NAMESPACE}:backends is ${backends}, and ${NAMESPACE}:httpAddress is ${httpAddress}. A swarm publishes the port of several backends on every address of its machines, and on no single one.`,
      allowed: `0.0.0.0, which lets the whole network in, where ${NAMESPACE}:backends is more than 1`,
      type: `npm run pulumi -- config set ${NAMESPACE}:httpAddress 0.0.0.0     # or: npm run pulumi -- config set ${NAMESPACE}:backends 1`,
    },
  ];
}
