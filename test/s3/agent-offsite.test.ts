import { createHash } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { keepAState } from "../support/agent/kept-state.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

describe("copies of the backups in an object store", () => {
  let minio: TestMinio;
  let postgres: TestPostgres;
  let bucket: TestBucket;
  let agent: TestAgent;

  const query = (text: string) => queryIn(postgres, LIVE, text);
  const backup = (on = agent) => takeBackup(on);
  const local = (file: string) => join(agent.directory, file);
  const manifestHere = async (file: string): Promise<Manifest> =>
    JSON.parse(await readFile(local(file.replace(/\.sql$/, ".json")), "utf8"));
  const rewrite = async (file: string, change: Partial<Manifest>) => {
    const manifest = { ...(await manifestHere(file)), ...change };
    await writeSigned(local(file.replace(/\.sql$/, ".json")), manifest);
  };
  const asReader = (...args: string[]) => agent.runAsReader(args, bucket.reader);
  const anotherMachine = () => startAgent(postgres, { database: LIVE, store: bucket.store });

  beforeAll(async () => {
    [minio, postgres] = await Promise.all([startMinio(), startPostgres({ env: { POSTGRES_DB: LIVE } })]);
    await makeEntries(postgres, 1000, 1);
    bucket = await makeBucket(minio);
    agent = await startAgent(postgres, { database: LIVE, store: bucket.store });
  });

  beforeEach(async () => {
    await agent.clear();
    await bucket.empty();
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
    await minio?.stop();
  });

  it("a backup is in the bucket when `backup` ends, whole, with a key that may only add", async () => {
    const { file, sha256, offsite } = await backup();
    const stem = `test/${file.replace(".sql", "")}-${sha256.slice(0, 12)}`;
    expect(await bucket.keys()).toEqual([`${stem}.globals.sql`, `${stem}.json`, `${stem}.sql`]);
    expect(await bucket.text(`${stem}.globals.sql`)).toContain("CREATE ROLE budgie_user");
    expect(await bucket.text(`${stem}.sql`)).toBe(await readFile(local(file), "utf8"));
    expect(JSON.parse(await bucket.text(`${stem}.json`))).toMatchObject({ sha256, offsite: null });
    expect(offsite).toMatchObject({ store: `${minio.endpoint}/${bucket.bucket}`, key: `${stem}.sql` });
    expect(offsite?.listedAt).not.toBeNull();
    const { offsite: status } = JSON.parse((await agent.run(["status", "--json"])).stdout);
    expect(status).toMatchObject({ kind: "local", missing: 0, lastAttempt: { outcome: "done" } });
  });

  it("sending again sends nothing, and puts nothing over what is there", async () => {
    const { offsite } = await backup();
    const { code, stdout } = await asReader("push", "--json");
    expect(code).toBe(EXIT.done);
    expect(JSON.parse(stdout).store).toEqual({
      store: `${minio.endpoint}/${bucket.bucket}`,
      sent: [],
      missing: [],
      failure: null,
    });
    expect(await bucket.versions(offsite?.key ?? "")).toBe(1);
  });

  it("the stack's state goes to the bucket once, under a name of its own, and passes for no backup", async () => {
    const state = await keepAState(agent);
    const { file } = await backup();
    const stateKeys = async () => (await bucket.keys()).filter(key => key.includes("state"));
    const [key = "", ...more] = await stateKeys();
    expect(more).toEqual([]);
    expect(key).toMatch(/^test\/state\/state_\d{8}T\d{6}Z-[0-9a-f]{12}\.json$/);
    expect(JSON.parse(await bucket.text(key))).toEqual(state);
    expect((await agent.run(["push"])).code).toBe(EXIT.done);
    expect(await stateKeys()).toEqual([key]);
    const listed = JSON.parse((await asReader("list", "--remote", "--json")).stdout) as { name: string }[];
    expect(listed.map(({ name }) => name)).toEqual([file]);
    expect((await agent.run(["status"])).stdout).not.toContain("state_");
  });

  it("everything that was lost here comes back from the bucket, through the same door", async () => {
    const { file } = await backup();
    await query("INSERT INTO entries VALUES (0, 'after the backup')");
    const other = await anotherMachine();
    const restored = await other.runAsReader(["restore", "latest", "--from", "s3", "--json"], bucket.reader);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect(JSON.parse(restored.stdout)).toMatchObject({ source: file, rows: 1000 });
    expect(await query("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 1000 }]);
    // Pinned, so that no prune removes an old backup that was just asked for.
    expect(await readdir(other.directory)).toEqual(
      expect.arrayContaining([file, file.replace(".sql", ".pin")]),
    );
    await other.stop();
  });

  it("`pull` fetches one backup with its manifest, and says so when it is here already", async () => {
    const { file, sha256 } = await backup();
    for (const ending of [".sql", ".globals.sql", ".json"]) await rm(local(file.replace(".sql", ending)));
    const first = await asReader("pull", file, "--json");
    expect(first.code, first.stderr).toBe(EXIT.done);
    expect(JSON.parse(first.stdout)).toMatchObject({ name: file, wasHere: false });
    expect(await manifestHere(file)).toMatchObject({ sha256, offsite: { listedAt: expect.any(String) } });
    expect((await agent.run(["verify", file])).code).toBe(EXIT.done);
    const again = await asReader("pull", "latest");
    expect(again.stdout).toContain(`${file} is in ./backups already, and is good`);
    expect((await readdir(agent.directory)).filter(name => name.includes("partial"))).toEqual([]);
  });

  it("`drill --from s3` proves the copy in the bucket, whatever became of the one here, and keeps nothing", async () => {
    const { file, offsite } = await backup();
    const key = offsite?.key ?? "";
    await rm(local(file));
    const good = await asReader("drill", file, "--from", "s3", "--json");
    expect(good.code, good.stderr).toBe(EXIT.done);
    expect(JSON.parse(good.stdout)).toMatchObject({
      name: `${minio.endpoint}/${bucket.bucket}/${key}`,
      outcome: "good",
    });
    expect((await readdir(agent.directory)).filter(name => /\d\.sql$|drill\.json$/.test(name))).toEqual([]);

    // The length is the same: only the bytes differ.
    const dump = await bucket.text(key);
    await bucket.put(key, dump.replace(/^1\t/m, "2\t"));
    const bad = await asReader("drill", "latest", "--from", "s3");
    expect(bad.code, bad.stdout).toBe(EXIT.unusableBackup);
    expect(bad.stderr).toMatch(/is bad: .* is corrupt: its bytes are not those that its manifest recorded/);
    expect((await agent.run(["status"])).stdout).toContain(`The last drill failed: ${minio.endpoint}`);
  });

  it("what a drill found bad here no longer counts against a whole copy that `pull` fetches", async () => {
    const { file } = await backup();
    await writeFile(local(file), (await readFile(local(file), "utf8")).replace(/^1\t/m, "2\t"));
    expect((await agent.run(["drill", file])).code).toBe(EXIT.unusableBackup);
    await rm(local(file));
    expect((await asReader("pull", file)).code).toBe(EXIT.done);
    expect((await agent.run(["list"])).stdout).not.toContain("does not count");
  });

  it("`pull` never overwrites a file that is something else", async () => {
    const { file } = await backup();
    await writeFile(local(file), "-- mine\n");
    const { code, stderr } = await asReader("pull", file);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stderr).toContain(`./backups/${file} is there already, and is not what was to be fetched`);
    expect(await readFile(local(file), "utf8")).toBe("-- mine\n");
  });

  it("a dump of any bucket is restored by its URL, compared with the manifest beside it, and not kept", async () => {
    const { offsite } = await backup();
    const other = await startAgent(postgres, { database: "budgie_dev", stack: "other" });
    const url = `s3://${bucket.bucket}/${offsite?.key}`;
    const reader = { ...bucket.reader, endpoint: minio.endpoint };
    const refused = await other.runAsReader(["restore", url], reader);
    expect(refused.code, refused.stderr).toBe(EXIT.unusableBackup);
    expect(refused.stderr).toContain("is a backup of stack test, and this is stack other");
    const restored = await other.runAsReader(["restore", url, "--from-stack", "test", "--json"], reader);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect(JSON.parse(restored.stdout)).toMatchObject({ rows: 1000, notCompared: [] });
    expect((await readdir(other.directory)).filter(name => name.startsWith(".incoming"))).toEqual([]);
    await other.stop();
  });

  it("`list --remote` shows everything there, and why what is not whole does not count", async () => {
    const good = (await backup()).offsite?.key ?? "";
    const keyOf = (minute: string, ending: string) =>
      `test/budgie_20200101_00${minute}00-0123456789ab.${ending}`;
    await bucket.put(keyOf("01", "sql"), "cut off before its manifest");
    await bucket.put(keyOf("02", "json"), "{}");
    await bucket.put(keyOf("03", "sql"), "a");
    await bucket.put(keyOf("03", "json"), "not JSON");
    const manifest = await bucket.text(good.replace(".sql", ".json"));
    await bucket.put(keyOf("04", "sql"), "a");
    await bucket.put(keyOf("04", "json"), manifest);
    await bucket.put("test/notes.txt", "a");
    await bucket.put("test/wal/0001", "below, so another's");
    const { code, stdout } = await asReader("list", "--remote", "--json");
    expect(code).toBe(EXIT.done);
    const flaws = Object.fromEntries(
      (JSON.parse(stdout) as { key: string; flaw: string | null }[]).map(({ key, flaw }) => [key, flaw]),
    );
    expect(flaws).toEqual({
      [good]: null,
      [keyOf("01", "sql")]: "no manifest: it was not sent to its end",
      [keyOf("02", "json")]: "a manifest without its dump",
      [keyOf("03", "sql")]: "manifest not readable: it is not JSON",
      [keyOf("04", "sql")]: "its manifest is of another backup",
      "test/notes.txt": "not a backup's name",
    });
    const verified = await asReader("verify", "--remote");
    expect(verified.code).toBe(EXIT.unusableBackup);
    expect(verified.stdout).toContain("all as recorded");
    expect(verified.stdout).toContain("no manifest: it was not sent to its end");
  });

  it("a manifest in the bucket that this stack did not write speaks for nothing, and its backup is fetched as what it is", async () => {
    const { file, offsite } = await backup();
    const key = offsite?.key ?? "";
    const manifestKey = key.replace(".sql", ".json");
    const manifest: Manifest = JSON.parse(await bucket.text(manifestKey));
    const dump = (await bucket.text(key)).replace(/^7\t.*$/m, "7\tforged");
    const sha256 = createHash("sha256").update(dump).digest("hex");
    const bytes = Buffer.byteLength(dump);
    const forgedKey = key.replace(/-[0-9a-f]{12}/, `-${sha256.slice(0, 12)}`);
    const forged = { ...manifest, bytes, sha256, contentBytes: bytes, contentSha256: sha256, globals: null };
    await bucket.empty();
    await agent.clear();
    await bucket.put(forgedKey, dump);
    await bucket.put(forgedKey.replace(".sql", ".json"), JSON.stringify(forged));
    const flaw = "its manifest was changed since this stack's agent wrote it";

    expect((await asReader("list", "--remote")).stdout).toContain(`does not count: ${flaw}`);
    const verified = await asReader("verify", "--remote", file, "--json");
    expect(verified.code).toBe(EXIT.unusableBackup);
    expect(JSON.parse(verified.stdout)).toEqual([
      { name: file, good: false, why: expect.stringContaining("was not written by this stack's agent") },
    ]);
    const drilled = await asReader("drill", file, "--from", "s3");
    expect(drilled.code).toBe(EXIT.unusableBackup);
    expect(drilled.stderr).toContain(`${forgedKey} is not drilled`);
    expect((await asReader("restore", "latest", "--from", "s3")).code).toBe(EXIT.unusableBackup);
    const pulled = await asReader("pull", file);
    expect(pulled.code, pulled.stderr).toBe(EXIT.done);
    const [here] = JSON.parse((await agent.run(["list", "--json"])).stdout);
    expect(here).toMatchObject({ name: file, flaw, authentic: false });
    const { problems } = JSON.parse((await agent.run(["status", "--json"])).stdout);
    expect(problems.join()).toContain(`${file} (${flaw})`);
    expect(problems.join()).not.toContain("The last drill");
  });

  it("a manifest that was damaged here is put right by `pull`, and never signed as it is", async () => {
    const { file } = await backup();
    const damaged = { ...(await manifestHere(file)), reason: "scheduled" };
    await writeFile(local(file.replace(".sql", ".json")), JSON.stringify(damaged));
    const flawOf = async () => JSON.parse((await agent.run(["list", "--json"])).stdout)[0].flaw;
    expect((await asReader("push")).code).toBe(EXIT.done);
    expect(await flawOf()).toContain("was changed since");
    expect((await asReader("pull", file)).code).toBe(EXIT.done);
    expect(await flawOf()).toBeNull();
    expect((await manifestHere(file)).reason).toBe("manual");
  });

  it("with the key of before lost, `latest` is refused and names what is there, which its name restores", async () => {
    const { file } = await backup();
    const manifestKey = "the stack's next key, and long enough";
    const other = await startAgent(postgres, { database: "budgie_dev", store: bucket.store, manifestKey });
    try {
      const latest = await other.runAsReader(["restore", "latest", "--from", "s3"], bucket.reader);
      expect(latest.code).toBe(EXIT.unusableBackup);
      expect(latest.stderr).toContain(`npx budgie restore ${file} --from s3`);
      const named = await other.runAsReader(["restore", file, "--from", "s3"], bucket.reader);
      expect(named.code, named.stderr).toBe(EXIT.done);
    } finally {
      await other.stop();
    }
  });

  it("`verify --remote` finds bytes that have changed in the bucket", async () => {
    const { file, offsite } = await backup();
    const key = offsite?.key ?? "";
    expect((await asReader("verify", "--remote", "latest")).code).toBe(EXIT.done);
    const changed = (await bucket.text(key)).replace("md5", "MD5").replace("\t", " ");
    await bucket.put(key, changed);
    const { code, stdout } = await asReader("verify", "--remote", file);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stdout).toContain(`${key} is corrupt`);
    await rm(local(file));
    for (const ending of [".globals.sql", ".json"]) await rm(local(file.replace(".sql", ending)));
    const pulled = await asReader("pull", file);
    expect(pulled.code).toBe(EXIT.unusableBackup);
    expect((await readdir(agent.directory)).filter(name => /budgie_/.test(name))).toEqual([]);
  });

  it.each(["sql.gz", "sql.zst", "dump", "dir.tar"])(
    "%s backups are sent, read and fetched as well",
    async format => {
      const taken = await agent.run(["backup", "--json", "--format", format]);
      const { file, offsite } = JSON.parse(taken.stdout);
      expect(offsite.key).toMatch(new RegExp(`-[0-9a-f]{12}\\.${format.replace(".", "\\.")}$`));
      expect((await asReader("verify", "--remote", file)).code).toBe(EXIT.done);
      await rm(local(file));
      expect((await asReader("pull", file)).code).toBe(EXIT.done);
      expect((await agent.run(["verify", file])).code).toBe(EXIT.done);
    },
  );

  it("roles that are not in the bucket as they were recorded are found, and a backup is fetched without them", async () => {
    const { file, offsite } = await backup();
    const globals = (offsite?.key ?? "").replace(".sql", ".globals.sql");
    await bucket.put(globals, `${await bucket.text(globals)}ALTER ROLE budgie_user SUPERUSER;\n`);
    const verified = await asReader("verify", "--remote", file);
    expect(verified.code).toBe(EXIT.unusableBackup);
    expect(verified.stdout).toContain(`${globals} is corrupt`);
    await agent.clear();
    const pulled = await asReader("pull", file);
    expect(pulled.code, pulled.stderr).toBe(EXIT.done);
    expect(pulled.stdout).toContain("The backup is fetched without it");
    expect(await readdir(agent.directory)).not.toContain(file.replace(".sql", ".globals.sql"));
    await bucket.remove(globals);
    expect((await asReader("list", "--remote")).stdout).not.toContain("does not count");
  });

  it("a bucket that was emptied behind the agent's back is filled again", async () => {
    const first = await backup();
    const second = await backup();
    for (const key of await bucket.keys())
      if (key.includes(first.sha256.slice(0, 12))) await bucket.remove(key);
    const without = await agent.run(["push", "--json"]);
    expect(JSON.parse(without.stdout).store.sent).toEqual([]);
    const { stdout } = await asReader("push", "--json");
    expect(JSON.parse(stdout).store.sent).toEqual([first.file]);
    const remote = JSON.parse((await asReader("list", "--remote", "--json")).stdout);
    expect(remote.map((entry: { name: string; flaw: unknown }) => [entry.name, entry.flaw])).toEqual([
      [second.file, null],
      [first.file, null],
    ]);
  });

  it("what is not this stack's, and what was changed by hand, is not sent", async () => {
    const { file } = await backup();
    const others = { before: await bucket.keys(), names: [] as string[] };
    await rename(local(file), local("budgie_20200101_000000.sql"));
    await rename(local(file.replace(".sql", ".json")), local("budgie_20200101_000000.json"));
    await rewrite("budgie_20200101_000000.sql", {
      stack: "prod",
      file: "budgie_20200101_000000.sql",
      offsite: null,
    });
    const second = await backup();
    await writeFile(local(second.file), "\n-- a note\n", { flag: "a" });
    await rewrite(second.file, { offsite: null });
    await writeFile(local("budgie_20200101_000001.sql"), "without a manifest");
    const { code, stdout } = await agent.run(["push", "--json"]);
    expect(code).toBe(EXIT.done);
    expect(JSON.parse(stdout).store).toMatchObject({ sent: [], missing: [] });
    expect(others.before).toHaveLength(3);
    expect(await bucket.keys()).toHaveLength(6);
  });

  it("a rotten file is not sent, is named, and keeps no other from being sent", async () => {
    const rotten = await backup();
    const good = await backup();
    for (const { file, offsite } of [rotten, good]) {
      await rewrite(file, { offsite: null });
      await bucket.remove(offsite?.key ?? "");
      for (const ending of [".globals.sql", ".json"])
        await bucket.remove((offsite?.key ?? "").replace(".sql", ending));
    }
    const text = await readFile(local(rotten.file), "utf8");
    await writeFile(local(rotten.file), text.replace("entries", "entriez"));
    const { code, stdout, stderr } = await agent.run(["push"]);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stdout).toContain(`${good.file} is in`);
    expect(stderr).toContain(`./backups/${rotten.file} is corrupt: its bytes are not those`);
    expect((await bucket.keys()).filter(key => key.includes(rotten.sha256.slice(0, 12)))).toEqual([]);
    expect((await agent.run(["push"])).code).toBe(EXIT.unusableBackup);
    const status = JSON.parse((await agent.run(["status", "--json"])).stdout);
    expect(status.problems.join()).toContain(`1 backup is not in ${minio.endpoint}/${bucket.bucket}`);
    const third = await agent.run(["backup"]);
    expect(third.code, "a new backup is sent all the same").toBe(EXIT.done);
    expect(third.stdout).toContain(`[!] ${rotten.file} is not sent`);
    await writeFile(local(rotten.file), text);
    expect((await agent.run(["push"])).code).toBe(EXIT.done);
  });

  it("`latest` from the bucket is never the empty database that a fresh machine backed up since", async () => {
    const { file, systemIdentifier } = await backup();
    const fresh = await startPostgres({ env: { POSTGRES_DB: LIVE } });
    const other = await startAgent(fresh, { database: "budgie_dev", store: bucket.store });
    const empty = await backup(other);
    expect(empty.systemIdentifier).not.toBe(systemIdentifier);
    const { code, stderr } = await other.runAsReader(["restore", "latest", "--from", "s3"], bucket.reader);
    expect(code).toBe(EXIT.notConfirmed);
    expect(stderr).toMatch(
      new RegExp(`${file}, of another server .* holds 1000 rows; .*, ${empty.file}, holds 0\\.`),
    );
    expect(stderr).toContain(`npx budgie restore ${file} --from s3`);
    const chosen = await other.runAsReader(["choose", "--from", "s3"], bucket.reader);
    expect(JSON.parse(chosen.stdout)).toMatchObject({
      source: empty.offsite?.key,
      decision: { next: expect.stringContaining("--allow-older") },
    });
    const named = await other.runAsReader(["restore", file, "--from", "s3"], bucket.reader);
    expect(named.code, named.stderr).toBe(EXIT.done);
    await other.stop();
    await fresh.stop();
  });

  it("credentials that may read serve one command, and are never left lying about", async () => {
    const kept = await agent.exec(["sh", "-c", "ls /dev/shm"]);
    expect(kept.stdout).toBe("");
    await asReader("list", "--remote");
    expect((await agent.exec(["sh", "-c", "ls /dev/shm"])).stdout).toBe("");
    const { code, stderr } = await agent.run(["list", "--remote", "--reader", "/dev/shm/budgie-reader-0"]);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain("There are no credentials at /dev/shm/budgie-reader-0; they serve one command");
    expect((await agent.run(["pull", "latest"])).code).toBe(EXIT.usage);
  });

  it("what a killed command left of such credentials goes when the agent starts, and what came since then stays", async () => {
    const [left, since] = ["0", "1"].map(digit => `budgie-reader-${digit.repeat(32)}`);
    await agent.exec([
      "sh",
      "-c",
      `cd /dev/shm && touch -d 2020-01-01 ${left} && touch -d 2100-01-01 ${since}`,
    ]);
    await agent.killed(["serve"], { afterText: "Backup agent of stack" });
    expect((await agent.exec(["ls", "/dev/shm"])).stdout.trim()).toBe(since);
    await agent.exec(["rm", `/dev/shm/${since}`]);
  });
});
