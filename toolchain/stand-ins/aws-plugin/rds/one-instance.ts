import { type DBInstance, DescribeDBInstancesCommand } from "@aws-sdk/client-rds";
import type { Connection } from "../connection.ts";
import { unless } from "../errors.ts";
import { untilAvailable } from "./available.ts";

/** Amazon's codes for an instance that is not there, of a cluster's or by itself. */
export const NO_INSTANCE = ["DBInstanceNotFoundFault", "DBInstanceNotFound"];

export async function describeInstance(at: Connection, id: string): Promise<DBInstance | undefined> {
  const asking = at.rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
  return (await unless(NO_INSTANCE, asking))?.DBInstances?.[0];
}

export function availableInstance(at: Connection, id: string): Promise<DBInstance> {
  return untilAvailable(
    `the instance ${id}`,
    () => describeInstance(at, id),
    ({ DBInstanceStatus: status }) => status,
  );
}
