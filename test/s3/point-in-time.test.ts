import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../agent/status/status.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { KILLED, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { startReceivableServer } from "../support/agent/point-in-time.ts";
import { committedRows, ledgerIds, startLedgerLoad } from "../support/database/ledger-load.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import type { TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

describe.each([{ copies: "as they are" }, { copies: "encrypted" }])(
  "going back to a moment from the bucket alone, whose copies are $copies",
  ({ copies }) => {
    let minio: TestMinio;
    let bucket: TestBucket;
    let postgres: TestPostgres;
    let agent: TestAgent;
    /** The private key that opens the copies; null where they are not encrypted. */
    let identity: string | null = null;

    const keysUntil = (what: string, part: string, isSo: (key: string) => boolean) =>
      until(
        what,
        () => keys(part),
        found => found.some(isSo),
        {
          withinMs: 90_000,
          everyMs: 500,
          log: async () => (await agent.run(["status"])).stdout,
        },
      );
    const askBucket = async (...args: string[]) => {
      const kept = identity === null ? null : await agent.keepIdentity(Buffer.from(`${identity}\n`));
      return agent.runAsReader(kept === null ? args : [...args, "--identity", kept], bucket.reader);
    };
    const keys = async (part: string) =>
      (await bucket.keys()).filter(key => key.startsWith("test/point-in-time/") && key.includes(part));

    beforeAll(async () => {
      [minio, postgres] = await Promise.all([startMinio(), startReceivableServer()]);
      bucket = await makeBucket(minio);
      if (copies === "encrypted") identity = await generateX25519Identity();
      const recipients =
        identity === null ? {} : { BUDGIE_BACKUP_RECIPIENTS: await identityToRecipient(identity) };
      agent = await startAgent(postgres, {
        database: LIVE,
        environment: { BUDGIE_POINT_IN_TIME: "true", ...recipients },
        store: bucket.store,
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
      await keysUntil("a base backup in the bucket", "/base/", key => /\.json(\.age)?$/.test(key));
      const load = await startLedgerLoad(postgres);
      await delay(3000);
      const at = Math.round(Date.now() / 1000) * 1000;
      await delay(3000);
      await load.stop();
      const committed = await committedRows(postgres);
      const [asked] = await query<{ segment: string }>(
        postgres,
        LIVE,
        "SELECT pg_walfile_name(pg_switch_wal()) AS segment",
      );
      const last = asked?.segment ?? "";
      await keysUntil("the last segment in the bucket", "/wal/", key => key.includes(last));
      const status: Status = JSON.parse((await agent.run(["status", "--json"])).stdout);
      expect(status.problems.filter(problem => problem.includes("Point in time"))).toEqual([]);
      const sent = await keys("");
      expect(sent.filter(key => key.endsWith(".age") !== (identity !== null))).toEqual([]);
      kill();
      expect((await serving).code).toBe(KILLED);
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
