import {
  DescribeDBClusterParameterGroupsCommand,
  DescribeDBClustersCommand,
  DescribeDBInstancesCommand,
  DescribeDBParameterGroupsCommand,
  DescribeDBSubnetGroupsCommand,
  RDSClient,
  type Tag,
} from "@aws-sdk/client-rds";
import type { ManagedSettings } from "../../settings/managed-database.ts";
import type { ManagedLook, ManagedPart, Stack } from "./parts.ts";
import { managedNames, managedTags } from "./parts.ts";

/** What can be seen of a stack's managed database from outside. */
export type Seen =
  | Pick<ManagedLook, "left">
  /** The database of that name is somebody else's, or nobody knows whose. */
  | { theirs: Record<string, string> }
  | { unknown: string; withoutCredentials: boolean };

const ANSWER_WITHIN_MS = 10_000;
const CONNECT_WITHIN_MS = 5_000;

/**
 * Which parts Amazon has already, of those that are asked for. Changes nothing, and never throws. The credentials are those of
 * whoever runs Pulumi, and AWS_ENDPOINT_URL_RDS is heeded, as by every AWS tool.
 */
export async function lookAtManaged(
  { kind, region }: Pick<ManagedSettings, "kind" | "region">,
  stack: Stack,
  version: string,
  parts: readonly ManagedPart[],
): Promise<Seen> {
  // It would advise on the Node version, in the middle of the preview.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
  const client = new RDSClient({
    region,
    maxAttempts: 2,
    requestHandler: { connectionTimeout: CONNECT_WITHIN_MS, requestTimeout: ANSWER_WITHIN_MS },
  });
  try {
    const names = managedNames(stack, version);
    const left: ManagedPart[] = [];
    for (const part of parts) {
      const tags = await unlessAbsent(tagsOf(client, kind, part, names[part]));
      if (tags === undefined) continue;
      if (part === "data" && !isOwn(tags, stack)) return { theirs: tags };
      left.push(part);
    }
    return { left };
  } catch (error) {
    return meaningOf(error as AmazonError);
  } finally {
    client.destroy();
  }
}

/** Of the data alone; the other parts hold nothing. Undefined where there is none: some answer with an empty list, others with an error. */
async function tagsOf(
  client: RDSClient,
  kind: ManagedSettings["kind"],
  part: ManagedPart,
  name: string,
): Promise<Record<string, string> | undefined> {
  if (part === "subnets") {
    const asked = client.send(new DescribeDBSubnetGroupsCommand({ DBSubnetGroupName: name }));
    return (await asked).DBSubnetGroups?.length ? {} : undefined;
  }
  if (part === "parameters" && kind === "rds") {
    const asked = client.send(new DescribeDBParameterGroupsCommand({ DBParameterGroupName: name }));
    return (await asked).DBParameterGroups?.length ? {} : undefined;
  }
  if (part === "parameters") {
    const DBClusterParameterGroupName = name;
    const asked = client.send(new DescribeDBClusterParameterGroupsCommand({ DBClusterParameterGroupName }));
    return (await asked).DBClusterParameterGroups?.length ? {} : undefined;
  }
  if (kind === "rds") {
    const asked = client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: name }));
    const [found] = (await asked).DBInstances ?? [];
    return found && byName(found.TagList);
  }
  const asked = client.send(new DescribeDBClustersCommand({ DBClusterIdentifier: name }));
  const [found] = (await asked).DBClusters ?? [];
  return found && byName(found.TagList);
}

function byName(tags: readonly Tag[] = []): Record<string, string> {
  return Object.fromEntries(tags.map(({ Key = "", Value = "" }) => [Key, Value]));
}

function isOwn(tags: Record<string, string>, stack: Stack): boolean {
  return Object.entries(managedTags(stack)).every(([key, value]) => tags[key] === value);
}

/** What the client throws, in the parts that matter here. */
interface AmazonError extends Error {
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

async function unlessAbsent<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (/NotFound(Fault)?$/.test((error as AmazonError).name)) return undefined;
    throw error;
  }
}

function meaningOf({ name, message, code, $metadata }: AmazonError): Seen {
  const withoutCredentials = name === "CredentialsProviderError";
  if (withoutCredentials) return { unknown: "no AWS credentials were found", withoutCredentials };
  const status = $metadata?.httpStatusCode;
  const why =
    status === undefined ? `it does not answer (${code ?? message})` : `it answers ${name} (${status})`;
  return { unknown: why, withoutCredentials };
}
