// Another stack's data on this one, out of that stack's bucket.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { type AgeKey, makeAgeKey } from "../support/agent/age-program.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

const stack = `refresh-${randomBytes(4).toString("hex")}`;
const STAGING = "budgie_staging";
const PRODUCTION = "budgie_production";
const MASK = "UPDATE users SET email = 'user' || id || '@example.invalid';";

describe("a refresh out of another stack's bucket", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let bucket: TestBucket;
  let production: TestAgent;
  let staging: TestAgent;
  let key: AgeKey;

  const query = (text: string, database = STAGING) => queryIn(postgres, database, text);
  const source = () => `s3://${bucket.bucket}?endpoint=${minio.endpoint}&region=us-east-1`;
  const emails = async () =>
    (await query("SELECT count(*) || ' ' || min(email) AS seen FROM users"))[0]?.seen;
  const refresh = async (reader = bucket.reader, ...args: string[]) =>
    staging.run(
      [
        "refresh",
        "--from=prod",
        `--source=${source()}`,
        "--mask=mask.sql",
        ...args,
        "--reader",
        await staging.keepReader(reader),
      ],
      Buffer.from(MASK),
    );
  const isAsItWas = async () => expect(await query("SELECT id FROM own")).toEqual([{ id: 1 }]);
  /** The agent with these files and settings, as `pulumi up` would give them. */
  const asConfigured = async (files: Record<string, string>, more: Record<string, string> = {}) => {
    for (const [path, text] of Object.entries(files))
      await staging.exec(["sh", "-c", `printf '%s' "$2" > "$1"`, "file", path, text]);
    const told = {
      BUDGIE_REFRESH_FROM: "prod",
      BUDGIE_REFRESH_SOURCE: source(),
      BUDGIE_REFRESH_MASK: "./mask.sql",
      BUDGIE_REFRESH_MASK_FILE: "/root/mask.sql",
      BUDGIE_REFRESH_READER_FILE: "/root/reader.json",
      ...more,
    };
    const variables = Object.entries(told).map(([name, value]) => `${name}=${value}`);
    return staging.exec(["env", ...variables, "budgie-agent", "refresh"]);
  };

  beforeAll(async () => {
    [minio, postgres, key] = await Promise.all([
      startMinio(),
      startPostgres({ env: { POSTGRES_DB: PRODUCTION } }),
      makeAgeKey(),
    ]);
    await query(
      "CREATE TABLE users AS SELECT n AS id, 'real' || n || '@example.com' AS email FROM generate_series(1, 50) n",
      PRODUCTION,
    );
    await query(`CREATE DATABASE ${STAGING}`, "postgres");
    bucket = await makeBucket(minio, "prod/");
    production = await startAgent(postgres, { database: PRODUCTION, stack: "prod", store: bucket.store });
    staging = await startAgent(postgres, {
      database: STAGING,
      stack: "staging",
      manifestKey: "a".repeat(64),
      labels: { "budgie.stack": stack, "budgie.prefix": stack, "budgie.role": "backup-agent" },
    });
  });

  beforeEach(async () => {
    await bucket.empty();
    await production.clear();
    await query("DROP TABLE IF EXISTS own, users; CREATE TABLE own AS SELECT 1 AS id");
    expect((await staging.run(["accept-database"])).code).toBe(EXIT.done);
  });

  afterAll(async () => {
    await staging?.stop();
    await production?.stop();
    await postgres?.stop();
    await minio?.stop();
    await key?.remove();
  });

  it("takes the newest whole backup with a reader's keys, masked, and keeps nothing of it here", async () => {
    await takeBackup(production);
    const { file } = await takeBackup(production);
    const { code, stdout, stderr } = await refresh();
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toMatch(
      new RegExp(`The newest backup of prod in .* is ${file}, of less than a minute ago`),
    );
    expect(await emails()).toBe("50 user10@example.invalid");
    const { stdout: listed } = await staging.run(["list", "--json"]);
    expect(JSON.parse(listed).map(({ name }: { name: string }) => name)).not.toContain(file);
    const left = await staging.exec(["sh", "-c", "ls -A /backups /dev/shm"]);
    expect(left.stdout).not.toMatch(/incoming|reader-|mask-/);
  });

  it("as an operator types it: the keys are in the environment, the mask and the private key in files", async () => {
    const recipients = `BUDGIE_BACKUP_RECIPIENTS=${key.recipient}`;
    expect((await production.exec(["env", recipients, "budgie-agent", "backup"])).code).toBe(EXIT.done);
    const folder = await mkdtemp(join(tmpdir(), "budgie-mask-"));
    const mask = join(folder, "mask.sql");
    await writeFile(mask, MASK);
    const typed = ["refresh", "--from", "prod", "--source", source(), "--mask", mask];
    const env = {
      BUDGIE_S3_READER_ACCESS_KEY_ID: bucket.reader.accessKeyId,
      BUDGIE_S3_READER_SECRET_ACCESS_KEY: bucket.reader.secretAccessKey,
    };
    const { exitCode, all } = await execa(
      "node",
      ["scripts/budgie.mjs", "--stack", stack, ...typed, "--identity", key.identityFile],
      { env, all: true, reject: false, stdin: "ignore" },
    ).finally(() => rm(folder, { recursive: true }));
    expect(exitCode, all).toBe(EXIT.done);
    expect(all).not.toContain(bucket.reader.secretAccessKey);
    expect(await emails()).toBe("50 user10@example.invalid");
  });

  it("takes the one that is named, and passes over one that was not sent to its end", async () => {
    const first = await takeBackup(production);
    const second = await takeBackup(production);
    const named = await refresh(bucket.reader, "--json", first.file);
    expect(named.code, named.stderr).toBe(EXIT.done);
    expect(JSON.parse(named.stdout)).toMatchObject({ source: first.file });
    const manifest = (await bucket.keys()).find(
      key => key.includes(second.file.replace(".sql", "")) && key.endsWith(".json"),
    );
    await bucket.remove(manifest ?? "");
    const { code, stdout, stderr } = await refresh();
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain(`is ${first.file}, of`);
  });

  it("refuses a copy of which a byte is another one, and what is another stack's", async () => {
    const { file } = await takeBackup(production);
    const key = (await bucket.keys()).find(key => key.endsWith(".sql") && !key.includes("globals")) ?? "";
    await bucket.put(key, (await bucket.text(key)).replace("real7@", "fake7@"));
    const changed = await refresh();
    expect(changed.code, changed.stderr).toBe(EXIT.unusableBackup);
    expect(changed.stderr).toContain("is not what its manifest recorded");
    const other = await staging.run([
      "refresh",
      "--from=other",
      `--source=s3://${bucket.bucket}/prod?endpoint=${minio.endpoint}`,
      "--reader",
      await staging.keepReader(bucket.reader),
    ]);
    expect(other.code, other.stderr).toBe(EXIT.unusableBackup);
    expect(other.stderr).toContain(`the newest, ${file}, cannot: of stack prod`);
    await isAsItWas();
  });

  it("says what to look at where the bucket lets nobody in, is another one, or does not answer", async () => {
    await takeBackup(production);
    const wrong = await refresh({ ...bucket.reader, secretAccessKey: "wrong-secret" });
    expect(wrong.code, wrong.stderr).toBe(EXIT.storeRefused);
    expect(wrong.stderr).toContain("See that --source is that stack's bucket");
    const writes = await refresh(bucket.writer);
    expect(writes.code, writes.stderr).toBe(EXIT.storeRefused);
    const none = await staging.run([
      "refresh",
      "--from=prod",
      "--source=../prod/backups",
      "--reader",
      await staging.keepReader(bucket.reader),
    ]);
    expect(none.code, none.stderr).toBe(EXIT.usage);
    expect(none.stderr).toContain("that is no bucket");
    await isAsItWas();
  });

  it("as the settings say: keys in a file, red where they are wrong, and encrypted copies with their own key", async () => {
    const reader = JSON.stringify(bucket.reader);
    await takeBackup(production);
    const wrong = await asConfigured({ "/root/mask.sql": MASK, "/root/reader.json": "{}" });
    expect(wrong.code, wrong.stderr).toBe(EXIT.failed);
    expect(wrong.stderr).toContain("budgie:refreshAccessKeyId");
    expect(await staging.exec(["sh", "-c", "cat /backups/.last-refresh-staging.json"])).toMatchObject({
      stdout: expect.stringContaining('"outcome":"failed"'),
    });
    const done = await asConfigured({ "/root/reader.json": reader });
    expect(done.code, done.stderr).toBe(EXIT.done);
    expect(await emails()).toBe("50 user10@example.invalid");

    await bucket.empty();
    const recipients = `BUDGIE_BACKUP_RECIPIENTS=${key.recipient}`;
    const sealed = await production.exec(["env", recipients, "budgie-agent", "backup"]);
    expect(sealed.code, sealed.stderr).toBe(EXIT.done);
    const closed = await asConfigured({});
    expect(closed.code, closed.stderr).toBe(EXIT.usage);
    expect(closed.stderr).toContain("config set --secret budgie:refreshIdentity < key.txt");
    const opened = await asConfigured(
      { "/root/identity": key.identity.toString() },
      { BUDGIE_REFRESH_IDENTITY_FILE: "/root/identity" },
    );
    expect(opened.code, opened.stderr).toBe(EXIT.done);
    expect(opened.stdout + opened.stderr).not.toContain("AGE-SECRET-KEY");
  });
});
