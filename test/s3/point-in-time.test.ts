import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../agent/exit-codes.ts";
import type { Status } from "../../agent/status.ts";
import { startAgent, type TestAgent } from "../support/agent.ts";
import { makeBucket, type TestBucket } from "../support/bucket.ts";
import { committedRows, ledgerIds, startLedgerLoad } from "../support/ledger-load.ts";
import { startMinio, type TestMinio } from "../support/minio.ts";
import { letReceive, queryOnce } from "../support/point-in-time.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

describe.each([{ copies: "as they are" }, { copies: "encrypted" }])(
  "going back to a moment from the bucket alone, whose copies are $copies",
  ({ copies }) => {
    let minio: TestMinio;
    let bucket: TestBucket;
    let postgres: TestPostgres;
    let agent: TestAgent;
    /** The private key that opens the copies; null where they are not encrypted. */
    let identity: string | null = null;

    const until = async <T>(what: string, ask: () => Promise<T | null | false>): Promise<T> => {
      for (let tries = 0; tries < 120; tries++) {
        const answer = await ask();
        if (answer) return answer;
        await delay(500);
      }
      throw new Error(`${what} did not come: ${(await agent.run(["status"])).stdout}`);
    };
    const askBucket = async (...args: string[]) => {
      const kept = identity === null ? null : await agent.keepIdentity(Buffer.from(`${identity}\n`));
      return agent.runAsReader(kept === null ? args : [...args, "--identity", kept], bucket.reader);
    };
    const keys = async (part: string) =>
      (await bucket.keys()).filter(key => key.startsWith("test/point-in-time/") && key.includes(part));

    beforeAll(async () => {
      [minio, postgres] = await Promise.all([startMinio(), startPostgres()]);
      await queryOnce(postgres, "ALTER SYSTEM SET track_commit_timestamp = on", [], "postgres");
      await postgres.container.restart();
      await postgres.ready();
      await queryOnce(postgres, "CREATE DATABASE budgie_dev", [], "postgres");
      await letReceive(postgres);
      bucket = await makeBucket(minio);
      if (copies === "encrypted") identity = await generateX25519Identity();
      const recipients =
        identity === null ? {} : { BUDGIE_BACKUP_RECIPIENTS: await identityToRecipient(identity) };
      agent = await startAgent(postgres, {
        database: "budgie_dev",
        environment: { BUDGIE_POINT_IN_TIME: "true", ...recipients },
        store: { kind: "local", endpoint: minio.endpoint, bucket: bucket.bucket, writer: bucket.writer },
      });
    });

    afterAll(async () => {
      await agent?.stop();
      await postgres?.stop();
      await minio?.stop();
    });

    it("exactly the rows committed by then, when the backup directory's WAL and base backups are gone", async () => {
      let kill: () => void = () => undefined;
      const over = new Promise<void>(resolve => {
        kill = resolve;
      });
      const serving = agent.killed(["serve"], { after: over });
      await until("a base backup in the bucket", async () =>
        (await keys("/base/")).some(key => /\.json(\.age)?$/.test(key)),
      );
      const load = await startLedgerLoad(postgres);
      await delay(3000);
      const at = Math.round(Date.now() / 1000) * 1000;
      await delay(3000);
      await load.stop();
      const committed = await committedRows(postgres);
      const [asked] = await queryOnce<{ segment: string }>(
        postgres,
        "SELECT pg_walfile_name(pg_switch_wal()) AS segment",
      );
      await until("the last segment in the bucket", async () =>
        (await keys("/wal/")).some(key => key.includes(asked?.segment ?? "")),
      );
      const status: Status = JSON.parse((await agent.run(["status", "--json"])).stdout);
      expect(status.problems.filter(problem => problem.includes("Point in time"))).toEqual([]);
      const sent = await keys("");
      expect(sent.filter(key => key.endsWith(".age") !== (identity !== null))).toEqual([]);
      kill();
      expect((await serving).code).toBe(137);
      await rm(join(agent.directory, "point-in-time"), { recursive: true });

      const restored = await askBucket(
        "restore",
        "--at",
        new Date(at).toISOString(),
        "--from",
        "s3",
        "--json",
      );
      expect(restored.code, restored.stderr).toBe(EXIT.done);
      const there = await ledgerIds(postgres);
      expect(there).toEqual(committed.filter(row => row.at <= at).map(({ id }) => id));
      expect(there.length).toBeGreaterThan(0);
      expect(there.length).toBeLessThan(committed.length);

      const late = await askBucket(
        "restore",
        "--at",
        new Date(Date.now() + 3_600_000).toISOString(),
        "--from",
        "s3",
      );
      expect(late.code).toBe(EXIT.unusableBackup);
      expect(late.stderr).toContain(`${minio.endpoint}/${bucket.bucket} reaches from `);
    });

    it("is of no one's backups: the list of those in the bucket does not know it", async () => {
      const { stdout } = await askBucket("list", "--remote", "--json");
      expect(
        (JSON.parse(stdout) as { key: string }[]).filter(({ key }) => key.includes("point-in-time")),
      ).toEqual([]);
      expect(
        (await readdir(agent.directory)).filter(name => name.startsWith(".partial-test-recovered")),
      ).toEqual([]);
    });
  },
);
