// A database that Amazon runs, as far as it can be had without Amazon: its API is imitated, and a real PostgreSQL with TLS and a role
// that is no superuser has the address that the imitation gives out.
import { DescribeDBInstancesCommand, RDSClient } from "@aws-sdk/client-rds";
import { afterAll, expect, it } from "vitest";
import { type ManagedPostgres, startManagedPostgres } from "../support/servers/managed-postgres.ts";
import { startMoto, type TestMoto } from "../support/servers/moto.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const DATABASE = "budgie_dev";
let moto: TestMoto;
let stack: TestStack;
let server: ManagedPostgres;

afterAll(async () => {
  await stack?.remove();
  await server?.stop();
  await moto?.stop();
});

/** Joins the stack's network under the database's name as soon as there is one. */
async function joinNetwork(alias: string): Promise<void> {
  const network = stack.docker.getNetwork(`${stack.prefix}-network`);
  await until(
    "the stack's network",
    () =>
      network
        .connect({ Container: server.asSuperuser.container.id, EndpointConfig: { Aliases: [alias] } })
        .then(() => true)
        .catch((error: Error) => error.message.includes("already exists")),
    joined => joined,
    { withinMs: 240_000 },
  );
}

it("comes up over verified TLS alone, is backed up, shows no change, and outlives a destroy", {
  timeout: 900_000,
}, async () => {
  moto = await startMoto();
  const rds = new RDSClient({
    endpoint: moto.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: moto.accessKeyId, secretAccessKey: moto.secretAccessKey },
  });
  stack = await createStack(
    { database: "rds", backupSchedule: "0 2 * * *" },
    {
      AWS_ENDPOINT_URL_RDS: moto.endpoint,
      AWS_ACCESS_KEY_ID: moto.accessKeyId,
      AWS_SECRET_ACCESS_KEY: moto.secretAccessKey,
    },
  );
  const host = `${stack.prefix}-db.aaaaaaaaaa.us-east-1.rds.amazonaws.com`;
  server = await startManagedPostgres(DATABASE, host);
  await stack.set("databasePassword", server.asOwner.password, { secret: true });
  await stack.set("databaseCertificates", server.certificate);
  const describe = async () =>
    (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: `${stack.prefix}-db` })))
      .DBInstances?.[0];

  const [, up] = await Promise.all([joinNetwork(host), stack.up()]);
  expect(up.all).not.toContain(server.asOwner.password);
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
});
