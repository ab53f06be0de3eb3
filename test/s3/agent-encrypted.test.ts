import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { encryptedKeys } from "../../agent/store/object-key.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { type AgeKey, makeAgeKey } from "../support/agent/age-program.ts";
import {
  type AgentStore,
  type CommandResult,
  KILLED,
  startAgent,
  type TestAgent,
} from "../support/agent/agent.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { makeLargeBackup } from "../support/agent/large-backup.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query } from "../support/database/query.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { itSlowly } from "../support/slow-lane.ts";

const MB = 1024 * 1024;

describe("copies that are encrypted before they leave the machine", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let bucket: TestBucket;
  let store: AgentStore;
  /** The agent, and one without recipients on another machine. The keys are an operator's, another one's and a stranger's. */
  let agent: TestAgent;
  let elsewhere: TestAgent;
  let [mine, second, stranger]: AgeKey[] = [];

  const backup = (...args: string[]) => takeBackup(agent, ...args);
  const here = async (manifest: Manifest) => readFile(join(agent.directory, manifest.file));
  const keysOf = (manifest: Manifest) => encryptedKeys("test/", manifest);
  /** A command of the other machine's agent, with credentials that may read, and a private key. */
  const run = async (args: string[], key: AgeKey | null = mine as AgeKey): Promise<CommandResult> => {
    const identity = key ? ["--identity", await elsewhere.keepIdentity(key.identity)] : [];
    return elsewhere.run([...args, "--reader", await elsewhere.keepReader(bucket.reader), ...identity]);
  };
  const ok = async (args: string[], key?: AgeKey) => {
    const { code, stdout, stderr } = await run(args, key);
    expect(code, stdout + stderr).toBe(EXIT.done);
    return stdout;
  };

  beforeAll(async () => {
    [minio, postgres, mine, second, stranger] = await Promise.all([
      startMinio(),
      startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
      makeAgeKey(),
      makeAgeKey(),
      makeAgeKey(),
    ]);
    await query(
      postgres,
      "budgie_dev",
      "CREATE TABLE secret_savings AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 1000) n",
    );
    bucket = await makeBucket(minio);
    store = bucket.store;
    const recipients = `${mine.recipient} ${second.recipient}`;
    const environment = { BUDGIE_BACKUP_RECIPIENTS: recipients };
    agent = await startAgent(postgres, { database: "budgie_dev", store, environment });
    elsewhere = await startAgent(postgres, { database: "budgie_dev", store });
  });

  beforeEach(async () => {
    await agent.clear();
    await elsewhere.clear();
    await bucket.empty();
  });

  afterAll(async () => {
    await agent?.stop();
    await elsewhere?.stop();
    await postgres?.stop();
    await minio?.stop();
    for (const key of [mine, second, stranger]) await key?.remove();
  });

  it.each(["sql", "dump"])(
    "age itself opens a %s backup, its roles and its manifest, for each recipient",
    async format => {
      const manifest = await backup("--format", format);
      const keys = keysOf(manifest);
      expect(await bucket.keys()).toEqual([keys.dump, keys.globals, keys.manifest].sort());
      for (const key of [mine, second] as AgeKey[]) {
        expect((await key.decrypt(await bucket.bytes(keys.dump))).equals(await here(manifest))).toBe(true);
        expect(JSON.parse((await key.decrypt(await bucket.bytes(keys.manifest))).toString())).toMatchObject({
          sha256: manifest.sha256,
          offsite: null,
        });
        expect((await key.decrypt(await bucket.bytes(keys.globals))).toString()).toContain(
          "CREATE ROLE budgie_user",
        );
      }
      await expect((stranger as AgeKey).decrypt(await bucket.bytes(keys.dump))).rejects.toThrow();
    },
  );

  it("nothing of the data, nor of its tables, can be read in the bucket; here all stays readable", async () => {
    const manifest = await backup();
    for (const key of await bucket.keys()) {
      const bytes = await bucket.bytes(key);
      for (const word of ["secret_savings", "budgie_user", "budgie_dev"])
        expect(bytes.includes(word), key).toBe(false);
    }
    expect((await here(manifest)).includes("secret_savings")).toBe(true);
    expect((await agent.run(["drill"])).code, "a drill needs no key").toBe(EXIT.done);
    const { offsite, fine } = JSON.parse((await agent.run(["status", "--json"])).stdout);
    expect({ missing: offsite.missing, fine }).toEqual({ missing: 0, fine: true });
  });

  it("a backup comes back with the key: listed, verified, drilled, fetched and restored", async () => {
    const { file, sha256 } = await backup();
    expect(await ok(["list", "--remote"])).toMatch(new RegExp(`${file}.*manual.*1 tables`));
    expect(await ok(["verify", "--remote"], second)).toContain("all as recorded");
    expect(await ok(["drill", "latest", "--from", "s3"])).toContain("is proven");
    await ok(["pull", file]);
    expect(await readdir(elsewhere.directory)).toEqual(
      expect.arrayContaining([file, file.replace(".sql", ".globals.sql"), file.replace(".sql", ".json")]),
    );
    expect((await elsewhere.run(["verify", file])).code).toBe(EXIT.done);
    await query(postgres, "budgie_dev", "DELETE FROM secret_savings");
    await elsewhere.clear();
    expect(await ok(["restore", "latest", "--from", "s3"])).toContain("Tables: 1, rows: 1000");
    const key = `${file.replace(".sql", "")}-${sha256.slice(0, 12)}.sql.age`;
    expect(await ok(["restore", `s3://${bucket.bucket}/test/${key}`])).toContain("Tables: 1, rows: 1000");
    expect((await elsewhere.exec(["sh", "-c", "ls /dev/shm"])).stdout).toBe("");
  });

  it("a file that was fetched by hand is restored as it is, from a folder or from standard input", async () => {
    const manifest = await backup();
    const sealed = await bucket.bytes(keysOf(manifest).dump);
    const withKey = async (args: string[], stdin?: Buffer) => {
      const identity = await elsewhere.keepIdentity((mine as AgeKey).identity);
      return elsewhere.run([...args, "--identity", identity], stdin);
    };
    const fromStdin = await withKey(["restore", "-"], sealed);
    expect(fromStdin.code, fromStdin.stderr).toBe(EXIT.done);
    await writeFile(join(elsewhere.directory, "by-hand.sql.age"), sealed);
    expect((await withKey(["restore", "by-hand.sql.age"])).code).toBe(EXIT.done);
    const without = await elsewhere.run(["restore", "by-hand.sql.age"]);
    expect(without.code).toBe(EXIT.usage);
    expect(without.stderr).toMatch(
      /by-hand\.sql\.age is encrypted, and no identity was given that opens it\./,
    );
    expect((await readdir(elsewhere.directory)).filter(name => name.startsWith(".incoming"))).toEqual([]);
  });

  it("without the key there is one clear line; the names are listed all the same", async () => {
    const { file } = await backup();
    const listed = await run(["list", "--remote"], null);
    expect(listed.code).toBe(EXIT.done);
    expect(listed.stdout).toMatch(new RegExp(`^${file} .* encrypted `, "m"));
    for (const args of [
      ["pull", file],
      ["pull", "latest"],
      ["restore", "latest", "--from", "s3"],
      ["drill", "latest", "--from", "s3"],
      ["verify", "--remote"],
    ]) {
      const { code, stderr } = await run(args, null);
      expect(stderr).toMatch(
        /^\[✗\] budgie_\S+ in http\S+ is encrypted, and no identity was given that opens it\.\n {4}Say where/,
      );
      expect(code).toBe(EXIT.usage);
    }
  });

  it("with another's key too, and no older copy is taken for the latest", async () => {
    const { file } = await backup();
    const latest = await run(["restore", "latest", "--from", "s3"], stranger);
    expect(latest.stderr).toContain(`${file} in`);
    expect(latest.stderr).toContain("is encrypted to another key than the one that was given.");
    expect(latest.code).toBe(EXIT.usage);
    const named = await run(["pull", file], stranger);
    expect(named.stderr).toContain("encrypted to another key than the one that was given");
    expect(named.code).not.toBe(EXIT.done);
  });

  it.each([
    [
      "a public key",
      () => Buffer.from((mine as AgeKey).recipient),
      "holds a public key, and the private one is needed",
    ],
    ["nothing", () => Buffer.from("# created\n"), "holds no key"],
    [
      "a key that is encrypted itself",
      () => Buffer.from("age-encryption.org/v1\n-> scrypt"),
      "is encrypted itself",
    ],
    ["a key with a wrong letter", () => Buffer.from("AGE-SECRET-KEY-1QQQQ"), "is no private key of age's"],
  ])("an identity file that holds %s is refused, and never shown", async (_what, make, says) => {
    const content = make();
    const { code, stderr } = await elsewhere.run(["keep-identity"], content);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain(says);
    expect(stderr).not.toContain("QQQQ");
  });

  it("a copy that was changed or cut off in the bucket is found", async () => {
    const manifest = await backup();
    const { dump } = keysOf(manifest);
    const whole = await bucket.bytes(dump);
    const changed = Buffer.from(whole);
    changed.writeUInt8(whole.readUInt8(whole.length - 100) ^ 1, whole.length - 100);
    await bucket.put(dump, changed);
    const verified = await run(["verify", "--remote", manifest.file]);
    expect(verified.code).toBe(EXIT.unusableBackup);
    expect(verified.stdout).toContain("is corrupt or cut off: what is encrypted in it does not add up");
    await bucket.put(dump, whole.subarray(0, whole.length / 2));
    expect(await ok(["list", "--remote"])).toContain("does not count");
    expect((await run(["pull", manifest.file])).code).toBe(EXIT.unusableBackup);
  });

  it("what was sent in the clear before stays a copy, and is not sent again; what is gone is", async () => {
    const plain = await elsewhere.run(["backup", "--json"]);
    const { file, offsite } = JSON.parse(plain.stdout) as Manifest;
    for (const ending of [".sql", ".globals.sql", ".json"]) {
      const name = file.replace(".sql", ending);
      await writeFile(join(agent.directory, name), await readFile(join(elsewhere.directory, name)));
    }
    const before = await bucket.keys();
    const reader = ["--reader", await agent.keepReader(bucket.reader)];
    const pushed = await agent.run(["push", "--json", ...reader]);
    expect(JSON.parse(pushed.stdout).store, pushed.stderr).toMatchObject({ sent: [], missing: [] });
    expect(await bucket.keys()).toEqual(before);
    for (const key of before) await bucket.remove(key);
    const again = await agent.run(["push", "--json", "--reader", await agent.keepReader(bucket.reader)]);
    expect(JSON.parse(again.stdout).store, again.stderr).toMatchObject({ sent: [file], missing: [] });
    expect(await bucket.keys()).toContain(`${offsite?.key}.age`);
  });

  itSlowly(
    "a large one is sent in parts with flat memory, and a kill on the way leaves nothing that counts",
    async () => {
      const small = await backup();
      await bucket.empty();
      const dump = join(agent.directory, small.file);
      const name = await makeLargeBackup(dump, agent.directory, 150 * MB);
      await agent.exec(["sh", "-c", `rm /backups/${small.file.replace(".sql", "")}.*`]);
      const killed = await agent.killed(["push"], { afterMs: 1000 });
      expect(killed.code).toBe(KILLED);
      expect((await bucket.keys()).filter(key => key.endsWith(".json.age"))).toEqual([]);
      const script = `budgie-agent push & pid=$!; peak=0
      while kill -0 $pid 2>/dev/null; do now=$(grep VmHWM /proc/$pid/status 2>/dev/null | tr -dc 0-9); peak=\${now:-$peak}; sleep 0.1; done
      wait $pid && echo peak $peak`;
      const sent = await agent.exec(["sh", "-c", script]);
      expect(sent.code, sent.stderr).toBe(0);
      const peak = Number(/peak (\d+)/.exec(sent.stdout)?.[1]) / 1024;
      expect(peak, `MB at most while sending 150 MB: ${peak}`).toBeLessThan(300);
      expect(await bucket.unfinishedUploads()).toBeLessThan(2);
      await ok(["pull", name]);
      expect((await elsewhere.run(["verify", name])).stdout).toContain("all as recorded");
    },
  );
});
