// A database that Amazon runs, as far as it can be had without Amazon: its API is imitated, and a real PostgreSQL with TLS and a role
// that is no superuser has the address that the imitation gives out.
import { readdir } from "node:fs/promises";
import {
  CreateDBClusterCommand,
  DescribeDBClustersCommand,
  DescribeDBInstancesCommand,
  RDSClient,
} from "@aws-sdk/client-rds";
import { afterEach, beforeEach, expect, it } from "vitest";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { type ManagedPostgres, startManagedPostgres } from "../support/servers/managed-postgres.ts";
import { startMoto, type TestMoto } from "../support/servers/moto.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const DATABASE = "budgie_dev";
let moto: TestMoto;
let rds: RDSClient;
let stack: TestStack;
let server: ManagedPostgres | undefined;

beforeEach(async () => {
  moto = await startMoto();
  const { accessKeyId, secretAccessKey } = moto;
  rds = new RDSClient({
    endpoint: moto.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId, secretAccessKey },
  });
});

afterEach(async () => {
  await server?.stop();
  await stack?.remove();
  await moto?.stop();
});

async function stackOn(database: "rds" | "aurora"): Promise<void> {
  stack = await createStack(
    { database, backupSchedule: "0 2 * * *" },
    {
      AWS_ENDPOINT_URL_RDS: moto.endpoint,
      AWS_ACCESS_KEY_ID: moto.accessKeyId,
      AWS_SECRET_ACCESS_KEY: moto.secretAccessKey,
    },
  );
}

/** What Amazon would run, where the imitation says that it is. */
async function startServer(host: string): Promise<ManagedPostgres> {
  server = await startManagedPostgres(DATABASE, host);
  await stack.set("databasePassword", server.asOwner.password, { secret: true });
  await stack.set("databaseCertificates", server.certificate);
  return server;
}

/** `pulumi up`, with the server in the stack's network as soon as there is one. */
async function up(host: string) {
  const network = stack.docker.getNetwork(`${stack.prefix}-network`);
  const endpoint = { Container: server?.asSuperuser.container.id ?? "", EndpointConfig: { Aliases: [host] } };
  const joining = until(
    "the stack's network",
    () =>
      network.connect(endpoint).then(
        () => true,
        (error: Error) => error.message.includes("already exists"),
      ),
    joined => joined,
    { withinMs: 240_000 },
  );
  const [result] = await Promise.all([stack.up(), joining]);
  return result;
}

/** `pulumi destroy`, with the server out of the network once nobody asks it any more. */
async function destroy(): Promise<void> {
  const { docker, prefix } = stack;
  const leaving = until(
    "the end of the backup agent",
    () => unlessMissing(docker.getContainer(`${prefix}-backup`).inspect()),
    found => found === undefined,
    { withinMs: 240_000 },
  ).then(() =>
    docker
      .getNetwork(`${prefix}-network`)
      .disconnect({ Container: server?.asSuperuser.container.id ?? "", Force: true }),
  );
  await Promise.all([stack.destroy(), leaving]);
}

const backups = async () =>
  (await readdir(stack.backupDir)).filter(name => /^budgie_\d{8}_\d{6}\.sql$/.test(name)).length;

it(`comes up over verified TLS alone, is backed up, shows no change${SLOW ? ", and outlives a destroy" : ""}`, {
  timeout: 900_000,
}, async () => {
  await stackOn("rds");
  const host = `${stack.prefix}-db.aaaaaaaaaa.us-east-1.rds.amazonaws.com`;
  const { asOwner } = await startServer(host);
  const describe = async () =>
    (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: `${stack.prefix}-db` })))
      .DBInstances?.[0];

  const first = await up(host);
  expect(first.all).not.toContain(asOwner.password);
  expect(await describe()).toMatchObject({
    Engine: "postgres",
    MultiAZ: true,
    StorageEncrypted: true,
    PubliclyAccessible: false,
    DeletionProtection: true,
    BackupRetentionPeriod: 7,
    MasterUsername: "budgie_user",
    DBName: DATABASE,
  });
  await stack.requireNoChange();
  expect((await stack.pulumi("stack", "export")).stdout).not.toContain(asOwner.password);

  const answer = await fetch(`${stack.url}/health`);
  expect(answer.status, await answer.text()).toBe(200);
  expect(await stack.sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).toBe("t");
  await stack.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
  const status = await stack.budgie(["status"]);
  expect(status.code, status.all).toBe(0);
  for (const command of ["upgrade", "stop db", "restart db", "logs db"]) {
    const refused = await stack.budgie(command.split(" "));
    expect(refused.code, command).not.toBe(0);
    expect(refused.all).toContain("is Amazon's (rds), so there is no container and no volume of it here");
  }

  // What follows takes as long again.
  if (!SLOW) return;
  const before = await backups();
  expect(before).toBeGreaterThan(0);
  await destroy();
  expect(await backups()).toBe(before + 1);
  expect((await describe())?.DBInstanceStatus).toBe("available");
  await up(host);
  expect(await stack.sql("SELECT count(*) FROM kept")).toBe("1000");
  // What was taken over as it is, is made as it should be.
  await stack.up();
  await stack.requireNoChange();
});

itSlowly(
  "Aurora: takes over a cluster with the stack's tags, and makes it as it should be",
  {
    timeout: 900_000,
  },
  async () => {
    await stackOn("aurora");
    const DBClusterIdentifier = `${stack.prefix}-db`;
    const tags = { "budgie:project": "budgie", "budgie:stack": stack.name, "budgie:prefix": stack.prefix };
    // Else nobody knows its address before it is there, and the certificate is for the address.
    const { DBCluster: made } = await rds.send(
      new CreateDBClusterCommand({
        DBClusterIdentifier,
        Engine: "aurora-postgresql",
        EngineVersion: "16",
        DatabaseName: DATABASE,
        MasterUsername: "budgie_user",
        MasterUserPassword: "not-the-stacks-password",
        StorageEncrypted: true,
        // The imitation never changes this of a cluster.
        EnableCloudwatchLogsExports: ["postgresql"],
        Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
      }),
    );
    const host = made?.Endpoint ?? "";
    await startServer(host);
    await up(host);
    await stack.up();
    await stack.requireNoChange();
    const { DBClusters: [found] = [] } = await rds.send(
      new DescribeDBClustersCommand({ DBClusterIdentifier }),
    );
    expect(found).toMatchObject({ DeletionProtection: true, BackupRetentionPeriod: 7 });
    expect(found?.DBClusterMembers).toHaveLength(2);
    expect(await stack.sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).toBe("t");
  },
);
