// What is seen of a database at Amazon before one is declared, against an imitation of Amazon's API.
import { CreateDBInstanceCommand, RDSClient } from "@aws-sdk/client-rds";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { lookAtManaged } from "../../components/managed/look.ts";
import { MANAGED_PARTS, managedTags } from "../../components/managed/parts.ts";
import { startMoto, type TestMoto } from "../support/servers/moto.ts";

let moto: TestMoto;
const region = "us-east-1";
const look = (kind: "rds" | "aurora", namePrefix: string) =>
  lookAtManaged({ kind, region }, { stack: "prod", namePrefix }, "16", MANAGED_PARTS);
const make = async (DBInstanceIdentifier: string, tags: Record<string, string>) => {
  const credentials = { accessKeyId: moto.accessKeyId, secretAccessKey: moto.secretAccessKey };
  await new RDSClient({ endpoint: moto.endpoint, region, credentials }).send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier,
      DBInstanceClass: "db.t4g.medium",
      Engine: "postgres",
      AllocatedStorage: 20,
      MasterUsername: "budgie_user",
      MasterUserPassword: "of-a-test-123",
      Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
    }),
  );
};
const askAt = (endpoint: string) => {
  vi.stubEnv("AWS_ENDPOINT_URL_RDS", endpoint);
  vi.stubEnv("AWS_ACCESS_KEY_ID", "anyone");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "anything");
};

beforeAll(async () => {
  moto = await startMoto();
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => moto?.stop());

it("nothing is left where there was no such database, of RDS or of Aurora", async () => {
  askAt(moto.endpoint);
  expect(await look("rds", "nobody")).toEqual({ left: [] });
  expect(await look("aurora", "nobody")).toEqual({ left: [] });
});

it("one with the stack's tags is what an earlier `up` has left", async () => {
  askAt(moto.endpoint);
  await make("own-db", managedTags({ stack: "prod", namePrefix: "own" }));
  expect(await look("rds", "own")).toEqual({ left: ["data"] });
});

it("one with other tags, or with none, is somebody else's", async () => {
  askAt(moto.endpoint);
  const tags = managedTags({ stack: "dev", namePrefix: "theirs" });
  await make("theirs-db", tags);
  expect(await look("rds", "theirs")).toEqual({ theirs: tags });
  await make("plain-db", {});
  expect(await look("rds", "plain")).toEqual({ theirs: {} });
});

it("an API that does not answer is unknown, and not nothing", async () => {
  askAt("http://127.0.0.1:9");
  expect(await look("rds", "own")).toMatchObject({
    unknown: expect.stringContaining("does not answer"),
    withoutCredentials: false,
  });
});
