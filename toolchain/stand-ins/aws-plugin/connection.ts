import { IAMClient } from "@aws-sdk/client-iam";
import { RDSClient } from "@aws-sdk/client-rds";
import { S3Client } from "@aws-sdk/client-s3";
import { type Failure, type Properties, UNKNOWN } from "../provider.ts";

/** The servers that resources are on. */
export interface Connection {
  s3: S3Client;
  iam: IAMClient;
  rds: RDSClient;
  region: string;
}

/** How long a connection may take to come about, and an answer to come. Each call is tried three times. */
const CONNECTION_MS = 10_000;
const ANSWER_MS = 60_000;

const supported = [
  "region",
  "accessKey",
  "secretKey",
  "token",
  "profile",
  "endpoints",
  "s3UsePathStyle",
  // This plugin always does what these say: it never asks who the caller is before the first call, nor which regions
  // there are.
  "skipCredentialsValidation",
  "skipRegionValidation",
  "skipRequestingAccountId",
  "skipMetadataApiCheck",
  "version",
  "pluginDownloadURL",
];

/** What is wrong with the provider's own configuration. */
export function checkConfig(config: Properties): Failure[] {
  const failures = Object.keys(config)
    .filter(property => !supported.includes(property) && isSet(config[property]))
    .map(property => ({ property, reason: "is not supported by the AWS plugin's stand-in" }));
  const others = endpointsOf(config.endpoints).flatMap(Object.keys);
  const unknown = others.filter(service => !["s3", "iam", "rds", "sts"].includes(service));
  const reason = "is not supported by the AWS plugin's stand-in, which calls s3, iam and rds only";
  return [...failures, ...unknown.map(service => ({ property: `endpoints.${service}`, reason }))];
}

/** With the usual chain of credentials and AWS_ENDPOINT_URL where the configuration leaves them out. */
export async function connect(config: Record<string, string>): Promise<Connection> {
  // Said at each start, by the Node that runs here, to whoever reads the engine's diagnostics.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
  const endpoints = Object.assign({}, ...endpointsOf(config.endpoints)) as Record<string, string>;
  const region = config.region || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION;
  const { accessKey: accessKeyId, secretKey: secretAccessKey, token: sessionToken } = config;
  const shared = {
    ...(region ? { region } : {}),
    ...(config.profile ? { profile: config.profile } : {}),
    ...(accessKeyId && secretAccessKey
      ? { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } }
      : {}),
    requestHandler: {
      connectionTimeout: CONNECTION_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
    },
  };
  const s3 = new S3Client({
    ...shared,
    ...endpoint(endpoints.s3),
    forcePathStyle: config.s3UsePathStyle === "true",
  });
  const iam = new IAMClient({ ...shared, ...endpoint(endpoints.iam) });
  const rds = new RDSClient({ ...shared, ...endpoint(endpoints.rds) });
  return { s3, iam, rds, region: await s3.config.region() };
}

function endpoint(url: string | undefined): { endpoint?: string } {
  return url ? { endpoint: url } : {};
}

/** From JSON in a text, as the SDK sends it. A preview may not know them yet. */
function endpointsOf(value: unknown): Record<string, string>[] {
  if (typeof value !== "string" || value === "" || value === UNKNOWN) return [];
  const list: unknown = JSON.parse(value);
  return Array.isArray(list) ? list : [];
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "" && value !== "null";
}
