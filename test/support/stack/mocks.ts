import * as pulumi from "@pulumi/pulumi";
import type { RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb.js";
import { vi } from "vitest";
import type { Bundle } from "../../../components/images/bundle.ts";

/** One resource as the program hands it to the engine, options included. */
export interface Registered {
  type: string;
  name: string;
  /** As sent, with `isSecret` values wrapped. */
  // biome-ignore lint/suspicious/noExplicitAny: inputs have the shape of their resource type.
  inputs: Record<string, any>;
  request: RegisterResourceRequest;
}

const SECRET_MARK = "4dabf18193072939515e22adb298388d";

/** The defaults of Pulumi.yaml as the CLI would merge them, for tests that run without it. */
export const DEFAULTS: Record<string, string> = {
  "budgie:namePrefix": "budgie",
  "budgie:databaseName": "budgie_dev",
  "budgie:postgresVersion": "16",
  "budgie:databasePassword": "",
  "budgie:databasePort": "0",
  "budgie:statusPort": "0",
  "budgie:sessionSecret": "",
  "budgie:httpPort": "80",
  "budgie:httpAddress": "127.0.0.1",
  "budgie:backendImage": "",
  "budgie:backendContext": "",
  "budgie:backendDockerfile": "",
  "budgie:backendTarget": "",
  "budgie:backendSecretsInEnvironment": "false",
  "budgie:backends": "1",
  "budgie:frontendUrl": "",
  "budgie:backupDir": "./backups",
  "budgie:backupFormat": "sql",
  "budgie:backupSchedule": "0 2 * * *",
  "budgie:timezone": "UTC",
  "budgie:backupJitterSeconds": "0",
  "budgie:keepDays": "7",
  "budgie:keepAtLeast": "3",
  "budgie:keepWeeks": "4",
  "budgie:keepMonths": "12",
  "budgie:pointInTime": "false",
  "budgie:heartbeatUrl": "",
  "budgie:alertUrl": "",
  "budgie:engineHost": "",
  "budgie:destroyGraceSeconds": "60",
  "budgie:databaseMemoryMegabytes": "1024",
  "budgie:objectStore": "local",
  "budgie:backupsOnThisMachineOnly": "false",
  "budgie:bucket": "",
  "budgie:region": "us-east-1",
  "budgie:s3Endpoint": "",
  "budgie:s3PathStyle": "true",
  "budgie:objectStoreProfile": "",
  "budgie:s3AccessKeyId": "",
  "budgie:s3SecretAccessKey": "",
  "budgie:s3WriterAccessKeyId": "",
  "budgie:s3WriterSecretAccessKey": "",
  "budgie:objectStoreImage": "pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
  "budgie:offsiteKeepDays": "90",
  "budgie:offsiteNoncurrentDays": "30",
  "budgie:offsiteTransitionClass": "",
  "budgie:offsiteTransitionDays": "0",
  "budgie:objectLockDays": "0",
  "budgie:backupRecipients": "",
  "budgie:offsiteSsh": "",
  "budgie:offsiteSshKey": "",
  "budgie:offsiteSshHostKey": "",
  "budgie:refreshFrom": "",
  "budgie:refreshSource": "",
  "budgie:refreshSchedule": "",
  "budgie:refreshMask": "",
  "budgie:refreshAccessKeyId": "",
  "budgie:refreshSecretAccessKey": "",
  "budgie:refreshSshKey": "",
  "budgie:refreshSshHostKey": "",
  "budgie:refreshIdentity": "",
  "budgie:replicaHosts": "",
  "budgie:replicationAddress": "",
  "budgie:replicationPort": "5433",
  "budgie:replicaPort": "0",
  "budgie:replicaBackupAddress": "",
  "budgie:replicaSynchronous": "false",
  "budgie:replicaKeepMegabytes": "4096",
  "budgie:database": "container",
  "budgie:databaseInstanceClass": "db.t4g.medium",
  "budgie:databaseStorageGigabytes": "0",
  "budgie:databaseMultiAz": "true",
  "budgie:databaseSnapshotDays": "7",
  "budgie:databaseSubnets": "",
  "budgie:databaseSecurityGroups": "",
  "budgie:databaseCertificates": "",
};

/** What the mocked engine answers for a generated secret. */
export const GENERATED = "generated-canary";
/** And for a certificate and its key. */
const KEY_PAIR = JSON.stringify({ certificate: "certificate-of-a-test", key: GENERATED });

/** Bundling a program takes seconds and always gives the same, so each is bundled once. */
const bundles = new Map<string, Bundle>();
vi.doMock("../../../components/images/bundle.ts", async original => {
  const { bundle } = await original<typeof import("../../../components/images/bundle.ts")>();
  const bundleOnce: typeof bundle = (name, program, pins) => {
    const known = bundles.get(name) ?? bundle(name, program, pins);
    bundles.set(name, known);
    return known;
  };
  return { bundle: bundleOnce };
});

/**
 * Runs index.ts against a mocked engine and returns everything that it declares. No container engine is touched.
 *
 * Pulumi keeps the stack trace of every promise. Vitest would look up each line in the source, which takes longer than the
 * program itself.
 */
export async function runProgram(
  config: Record<string, string> = {},
  { preview = true, secretKeys = [] as string[] } = {},
): Promise<{ resources: Registered[]; outputs: Record<string, unknown> }> {
  vi.stubEnv("DOCKER_HOST", "unix:///nonexistent/engine.sock");
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"])
    vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("AWS_CONFIG_FILE", "/nonexistent");
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
  vi.stubEnv("PULUMI_CONFIG_SECRET_KEYS", JSON.stringify(secretKeys));
  vi.resetModules();
  const resources: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ name, inputs }) => ({
        id: `${name}-id`,
        state: {
          ...inputs,
          stdout: /replication-(authority|certificate)|replica-.*-certificate/.test(name)
            ? KEY_PAIR
            : GENERATED,
          imageId: `sha256:${name}`,
          arn: `arn:aws:s3:::${inputs.bucket}`,
          secret: GENERATED,
          output: inputs.input,
        },
      }),
      call: () => ({}),
    },
    "budgie",
    "dev",
    preview,
    "organization",
  );
  pulumi.runtime.setAllConfig({ ...DEFAULTS, ...config }, secretKeys);
  captureRequests(resources);
  const { prepareStackTrace } = Error;
  Error.prepareStackTrace = () => "";
  try {
    const outputs = (await import("../../../index.ts")) as Record<string, unknown>;
    return { resources, outputs };
  } finally {
    await pulumi.runtime.disconnect();
    if (prepareStackTrace) Error.prepareStackTrace = prepareStackTrace;
    vi.unstubAllEnvs();
  }
}

/** The mocks do not get a resource's options; the monitor behind them does. */
function captureRequests(resources: Registered[]): void {
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource(request: RegisterResourceRequest, callback: unknown): Promise<void>;
  };
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) => {
    const inputs = (request.getObject()?.toJavaScript() ?? {}) as Registered["inputs"];
    resources.push({ type: request.getType(), name: request.getName(), inputs, request });
    return register(request, callback);
  };
}

/** The value with every secret in it replaced by "[secret]". */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (value === null || typeof value !== "object") return value;
  if (SECRET_MARK in value) return "[secret]";
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutSecrets(inner)]));
}
