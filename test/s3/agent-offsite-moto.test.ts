import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../agent/exit-codes.ts";
import type { Manifest } from "../../agent/manifest.ts";
import { startAgent, type TestAgent } from "../support/agent.ts";
import { startMoto, type TestMoto } from "../support/moto.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

// moto answers no SHA-256 to what it receives, except to the end of a multipart upload.
describe("copies in a store that answers no SHA-256", () => {
  let moto: TestMoto;
  let postgres: TestPostgres;
  let agent: TestAgent;
  let s3: S3Client;

  const keys = () => {
    const { accessKeyId, secretAccessKey } = moto;
    return { accessKeyId, secretAccessKey };
  };

  beforeAll(async () => {
    [moto, postgres] = await Promise.all([
      startMoto(),
      startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
    ]);
    s3 = new S3Client({
      endpoint: moto.endpoint,
      credentials: keys(),
      region: "us-east-1",
      forcePathStyle: true,
    });
    await s3.send(new CreateBucketCommand({ Bucket: "household" }));
    agent = await startAgent(postgres, {
      database: "budgie_dev",
      store: { kind: "aws", endpoint: moto.endpoint, bucket: "household", writer: keys() },
    });
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
    await moto?.stop();
  });

  it.each([
    ["in one piece", 1000],
    ["in several parts", 190_000],
  ])("a backup that goes %s is confirmed by its MD5", async (_, rows) => {
    const client = new pg.Client({ connectionString: postgres.url("budgie_dev") });
    await client.connect();
    await client.query("DROP TABLE IF EXISTS entries");
    await client.query(
      `CREATE TABLE entries AS SELECT n AS id, repeat(md5(n::text), 3) AS note FROM generate_series(1, ${rows}) n`,
    );
    await client.end();
    const { code, stdout, stderr } = await agent.run(["backup", "--json"]);
    expect(code, stderr).toBe(EXIT.done);
    const { offsite, file } = JSON.parse(stdout) as Manifest;
    expect(offsite?.etag).toMatch(rows > 10_000 ? /^[0-9a-f]{32}-3$/ : /^[0-9a-f]{32}$/);
    expect((await agent.runAsReader(["verify", "--remote", file], keys())).code).toBe(EXIT.done);
  });
});
