import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, expect } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { BOARD_PORT } from "../support/agent/board.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { AGENT_ENVIRONMENT } from "../support/agent/environment.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query } from "../support/database/query.ts";
import { ALERTS_FILE, type Fault, tellEach, tellWebhook } from "../support/faults/told.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { startWebhook, type Webhook } from "../support/servers/webhook.ts";

/** By this name the agent knows its database, whichever server has it. */
const NAME = "db";

let minio: TestMinio;
let bucket: TestBucket;
let postgres: TestPostgres;
/** Of the same password and database name, and with a table: what another volume under the same container would be. */
let another: TestPostgres;
let network: Docker.Network;
let agent: TestAgent;
let webhook: Webhook;
let records: string;

beforeAll(async () => {
  const env = { POSTGRES_DB: "budgie_dev", POSTGRES_PASSWORD: "one for both" };
  records = await mkdtemp(join(tmpdir(), "budgie-records-"));
  [minio, postgres, another, webhook] = await Promise.all([
    startMinio(),
    startPostgres({ env }),
    startPostgres({ env }),
    startWebhook(),
  ]);
  for (const server of [postgres, another])
    await query(server, "budgie_dev", "CREATE TABLE entries AS SELECT generate_series(1, 100) AS id");
  bucket = await makeBucket(minio);
  network = await new Docker().createNetwork({
    Name: `budgie-test-${process.pid}-faults`,
    Labels: { "budgie.test": "true" },
  });
  await isTheDatabase(postgres);
  agent = await startAgent(postgres, {
    database: "budgie_dev",
    store: bucket.store,
    serves: true,
    binds: [`${records}:${AGENT_ENVIRONMENT.BUDGIE_RECORDS_DIR}`],
    environment: { PGHOST: NAME, BUDGIE_STATUS_PORT: BOARD_PORT, BUDGIE_ALERTS_FILE: ALERTS_FILE },
  });
  await network.connect({ Container: agent.container.id });
  await tellWebhook(agent, webhook);
  await takeBackup(agent);
  expect((await agent.run(["drill"])).code).toBe(EXIT.done);
});
afterAll(async () => {
  await agent?.stop();
  await Promise.all([postgres?.stop(), another?.stop(), webhook?.stop(), minio?.stop()]);
  await network?.remove();
  await rm(records, { recursive: true, force: true });
});

const isTheDatabase = ({ container }: TestPostgres) =>
  network.connect({ Container: container.id, EndpointConfig: { Aliases: [NAME] } });
const isNoMore = ({ container }: TestPostgres) =>
  network.disconnect({ Container: container.id, Force: true });

async function backUpInVain(): Promise<void> {
  const { code, stderr } = await agent.run(["backup"]);
  expect(code, stderr).not.toBe(EXIT.done);
}
async function sendAgain(): Promise<void> {
  const { code, stderr } = await agent.run(["push"]);
  expect(code, stderr).toBe(EXIT.done);
}

const FAULTS: Fault[] = [
  {
    fault: "the database is stopped",
    bring: () => postgres.container.stop(),
    line: "database",
    says: /cannot be reached|does not answer/,
    undo: async () => {
      await postgres.container.start();
      await postgres.ready();
    },
  },
  {
    fault: "another database is on the volume",
    bring: async () => {
      await isNoMore(postgres);
      await isTheDatabase(another);
    },
    line: "database",
    says: /is another one \(\d+\) than the one its backups came from/,
    undo: async () => {
      await isNoMore(another);
      await isTheDatabase(postgres);
    },
  },
  {
    fault: "the store is away",
    bring: async () => {
      await minio.kill();
      await backUpInVain();
    },
    line: "copies",
    says: /1 backup is not in http/,
    undo: async () => {
      await minio.start();
      await sendAgain();
    },
  },
  {
    fault: "the store's credentials are others",
    bring: async () => {
      await agent.giveWriter({ ...bucket.store.writer, secretAccessKey: "another one altogether" });
      await backUpInVain();
    },
    line: "copies",
    says: /1 backup is not in http/,
    undo: async () => {
      await agent.giveWriter(bucket.store.writer);
      await sendAgain();
    },
  },
];

tellEach(FAULTS, () => ({ agent, webhook, records }));
