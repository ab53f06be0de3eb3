import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import { startMoto, type TestMoto } from "../support/servers/moto.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { s3Client } from "../support/servers/s3-client.ts";

// moto returns no SHA-256 for what it receives, except at the end of a multipart upload.
describe("copies in a store that answers no SHA-256", () => {
  let moto: TestMoto;
  let postgres: TestPostgres;
  let agent: TestAgent;

  const keys = () => {
    const { accessKeyId, secretAccessKey } = moto;
    return { accessKeyId, secretAccessKey };
  };

  beforeAll(async () => {
    [moto, postgres] = await Promise.all([startMoto(), startPostgres({ env: { POSTGRES_DB: LIVE } })]);
    await s3Client(moto).send(new CreateBucketCommand({ Bucket: "household" }));
    agent = await startAgent(postgres, {
      database: LIVE,
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
    await query(postgres, LIVE, "DROP TABLE IF EXISTS entries");
    await makeEntries(postgres, rows);
    const { offsite, file } = await takeBackup(agent);
    expect(offsite?.etag).toMatch(rows > 10_000 ? /^[0-9a-f]{32}-3$/ : /^[0-9a-f]{32}$/);
    expect((await agent.runAsReader(["verify", "--remote", file], keys())).code).toBe(EXIT.done);
  });
});
