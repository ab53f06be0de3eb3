import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query as queryIn } from "../support/database/query.ts";
import { makeTablespace, RICH_DATABASE } from "../support/database/rich.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

/** Older than every backup that these tests take, so that it is never the latest. */
const TAMPERED = "budgie_20010101_000000";

describe("proving a backup by restoring it into a throw-away server", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let recorded: Manifest;

  const query = (text: string, database = "budgie_dev") => queryIn(postgres, database, text);

  const outcomeOf = async (stem: string) =>
    JSON.parse(await readFile(join(agent.directory, `${stem}.drill.json`), "utf8"));

  /** What a drill may leave behind: nothing. */
  const leftovers = async () => {
    const { stdout } = await agent.exec([
      "sh",
      "-c",
      "ls -A /var/lib/postgresql/data; for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done | grep -E '^(postgres|initdb)'",
    ]);
    return stdout;
  };

  beforeAll(async () => {
    postgres = await startPostgres();
    await makeTablespace(postgres);
    await query(
      `CREATE DATABASE budgie_dev TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-CH' TABLESPACE fast`,
      "postgres",
    );
    await query(RICH_DATABASE);
    await query("ALTER DATABASE budgie_dev SET timezone TO 'Asia/Kathmandu'");
    await query("ALTER ROLE budgie_user SET bytea_output TO escape");
    agent = await startAgent(postgres, { database: "budgie_dev" });
    recorded = await takeBackup(agent);
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("a good backup of everything that PostgreSQL can hold is good, and nothing is left of the drill", async () => {
    const { code, stdout, stderr } = await agent.run(["drill"]);
    expect(code, stdout + stderr).toBe(EXIT.done);
    expect(stdout).toContain(`${recorded.file} is proven: restored, and every row and object as recorded`);
    expect(await outcomeOf(recorded.file.replace(".sql", ""))).toMatchObject({ outcome: "good", why: null });
    expect(await leftovers()).toBe("");
  });

  it("a compressed one as well, and the outcome as JSON", async () => {
    const { file, tables } = await takeBackup(agent, "--format", "sql.gz");
    const { code, stdout, stderr } = await agent.run(["drill", file, "--json"]);
    expect(code, stderr).toBe(EXIT.done);
    expect(JSON.parse(stdout)).toMatchObject({
      name: file,
      outcome: "good",
      why: null,
      tables: tables.length,
    });
  });

  it("what every drill's server begins with is out of reach of the data in a backup", async () => {
    const { stdout } = await agent.exec([
      "sh",
      "-c",
      "stat -c '%U %a' /var/cache/budgie-cluster /var/cache/budgie-cluster/*",
    ]);
    expect(stdout).toMatch(/^root 711\nroot 644\s*$/);
  });

  it.each([
    ["cut off", "for f in /var/cache/budgie-cluster/*.tar; do truncate -s 9000000 $f; done"],
    [
      "half made when the agent was killed",
      "cd /var/cache/budgie-cluster; rm *; mkdir making; touch fresh.tar making/x",
    ],
    [
      "of a start of the machine that is over",
      "cd /var/cache/budgie-cluster; for f in *; do mv $f 0$f; done; echo x > 1.tar",
    ],
  ])("when that is %s, a drill makes it anew", async (_, damage) => {
    await agent.exec(["sh", "-c", damage]);
    for (const _again of [1, 2]) {
      const { code, stdout, stderr } = await agent.run(["drill", recorded.file]);
      expect(code, stdout + stderr).toBe(EXIT.done);
    }
    const { stdout } = await agent.exec([
      "sh",
      "-c",
      "ls -A /var/cache/budgie-cluster; tar -t -f /var/cache/budgie-cluster/*.tar",
    ]);
    expect(stdout).toMatch(/^[0-9a-f-]+\.tar\n/);
    expect(stdout).toContain("PG_VERSION");
    expect(await leftovers()).toBe("");
  });

  it("a backup is taken while a drill runs; a second drill is refused, and told who is at work", async () => {
    const running = agent.run(["drill", recorded.file]);
    await agent.exec(["sh", "-c", "until [ -e /var/lib/postgresql/data/throw-away-drill ]; do :; done"]);
    const second = await agent.run(["drill", recorded.file]);
    const backup = await agent.run(["backup"]);
    expect((await running).code).toBe(EXIT.done);
    expect(second.code).toBe(EXIT.busy);
    expect(second.stderr).toMatch(/Another operation is at work: drill since \d{4}-/);
    expect(backup.code, backup.stderr).toBe(EXIT.done);
  });

  describe("a backup that is not what was there", () => {
    type Change = (dump: Buffer) => Buffer;
    const edit =
      (find: RegExp, replacement: string): Change =>
      dump => {
        const text = dump.toString("latin1");
        expect(find.test(text), `the dump has ${find}`).toBe(true);
        find.lastIndex = 0;
        return Buffer.from(text.replace(find, replacement), "latin1");
      };
    const flipBit =
      (near: string, offset = 0): Change =>
      dump => {
        const found = dump.indexOf(near);
        expect(found).toBeGreaterThan(0);
        const at = found + offset;
        const flipped = Buffer.from(dump);
        flipped.writeUInt8(dump.readUInt8(at) ^ 1, at);
        return flipped;
      };

    /** Stores a changed copy. With `recomputed`, the manifest's sizes and checksums fit it. */
    const store = async (change: Change, recomputed: boolean, fields: Partial<Manifest> = {}) => {
      const dump = change(await readFile(join(agent.directory, recorded.file)));
      const sha256 = createHash("sha256").update(dump).digest("hex");
      const manifest: Manifest = { ...recorded, file: `${TAMPERED}.sql`, ...fields };
      if (recomputed) {
        Object.assign(manifest, {
          bytes: dump.length,
          contentBytes: dump.length,
          sha256,
          contentSha256: sha256,
        });
      }
      await rm(join(agent.directory, `${TAMPERED}.drill.json`), { force: true });
      await writeFile(join(agent.directory, `${TAMPERED}.sql`), dump);
      await writeSigned(join(agent.directory, `${TAMPERED}.json`), manifest);
    };

    const drillTampered = async () => {
      const { code, stdout, stderr } = await agent.run(["drill", `${TAMPERED}.sql`]);
      expect(stderr).not.toMatch(/\n\s+at /);
      return { code, said: stdout + stderr };
    };

    const unchanged: Change = dump => dump;
    const missing = {
      extensions: [
        { name: "plpgsql", version: "1.0" },
        { name: "household", version: "1.0" },
      ],
    };

    it.each<[string, Change, boolean, Partial<Manifest>, RegExp]>([
      ["one flipped bit", flipBit("User7@example.com"), false, {}, /is corrupt: its bytes are not those/],
      [
        "one flipped bit in a row, the file's checksum recomputed",
        flipBit("User7@example.com"),
        true,
        {},
        /ledger\.users has the right number of rows, but other values/,
      ],
      [
        "one flipped bit in the schema, the file's checksum recomputed",
        flipBit("AS $$ SELECT 1 $$", 13),
        true,
        {},
        /the schema or a sequence's position/,
      ],
      [
        "one flipped bit in a large object, the file's checksum recomputed",
        flipBit("00ff1000ff10"),
        true,
        {},
        /the schema or a sequence's position/,
      ],
      ["one row too few", edit(/^item 7\n/m, ""), true, {}, /scratch has 49 rows instead of 50/],
      [
        "a sequence left behind",
        edit(/(setval\('ledger\.invoice_number', )\d+/, "$1505"),
        true,
        {},
        /the schema or a sequence's position/,
      ],
      [
        "an extension that the dump does not create",
        edit(/^(CREATE|COMMENT ON) EXTENSION.*pg_trgm.*\n/gm, ""),
        true,
        {},
        /the extension pg_trgm is missing/,
      ],
      [
        "an extension that PostgreSQL's image does not have",
        unchanged,
        false,
        missing,
        /needs extensions that this server does not have: household/,
      ],
      ["a dump that is cut off", dump => dump.subarray(0, dump.length - 2000), true, {}, /is cut off/],
      [
        "a table that is not there",
        edit(/^CREATE UNLOGGED TABLE "odd schema"\.scratch [^;]*;\n/m, ""),
        true,
        {},
        /does not load/,
      ],
      ["a value that its type does not take", edit(/^(item 7)$/m, "$1\tand more"), true, {}, /does not load/],
    ])("%s: is found", async (_what, change, recomputed, fields, why) => {
      await store(change, recomputed, fields);
      const { code, said } = await drillTampered();
      expect(code, said).toBe(EXIT.unusableBackup);
      expect(said).toMatch(why);
      // Even if PostgreSQL refuses it, and whatever its checksum says: the manifest's record of its tables shows the change.
      expect(await outcomeOf(TAMPERED)).toMatchObject({ outcome: "bad", why: expect.stringMatching(why) });
      expect(await leftovers()).toBe("");
    });
  });

  it("a bad backup counts for nothing any more, until a drill finds it good", async () => {
    const good = await takeBackup(agent);
    const bad = await takeBackup(agent);
    const path = join(agent.directory, bad.file);
    const whole = await readFile(path);
    await writeFile(path, Buffer.from(whole.toString("latin1").replace("User7@", "Uses7@"), "latin1"));

    const drilled = await agent.run(["drill", bad.file]);

    expect(drilled.code, drilled.stdout).toBe(EXIT.unusableBackup);
    const status = await agent.run(["status"]);
    expect(status.code).toBe(EXIT.notFine);
    expect(status.stdout).toMatch(
      new RegExp(`do not count as backups:.*${bad.file} \\(failed its drill of \\d`),
    );
    expect((await agent.run(["list"])).stdout).toMatch(
      new RegExp(`${bad.file}.*does not count: failed its drill`),
    );
    expect((await agent.run(["drill"])).stdout).toContain(`${good.file} is proven`);

    await writeFile(path, whole);
    expect((await agent.run(["drill", bad.file])).code).toBe(EXIT.done);
    expect((await agent.run(["list"])).stdout).not.toMatch(new RegExp(`${bad.file}.*does not count`));
  });

  it("a backup that verify finds damaged counts for nothing any more, until its file is whole again", async () => {
    const good = await takeBackup(agent);
    const bad = await takeBackup(agent);
    expect((await agent.run(["drill", bad.file])).code).toBe(EXIT.done);
    const path = join(agent.directory, bad.file);
    const whole = await readFile(path);
    for (const damaged of [
      Buffer.from(whole.toString("latin1").replace("User7@", "Uses7@"), "latin1"),
      whole.subarray(0, whole.length - 100),
    ]) {
      await writeFile(path, damaged);
      expect((await agent.run(["verify", "all"])).code).toBe(EXIT.unusableBackup);

      const status = await agent.run(["status"]);
      expect(status.code).toBe(EXIT.notFine);
      expect(status.stdout).toMatch(
        new RegExp(
          `do not count as backups:.*${bad.file} \\(found damaged by verify on \\d|${bad.file} \\(\\d+ bytes, its manifest says`,
        ),
      );
      expect((await agent.run(["verify"])).stdout).toContain(good.file);

      await writeFile(path, whole);
      expect((await agent.run(["verify", bad.file])).code).toBe(EXIT.done);
      expect((await agent.run(["list"])).stdout).not.toMatch(new RegExp(`${bad.file}.*does not count`));
    }
    // It was proven, but that was before it was damaged: only another drill says so again.
    expect(await readdir(agent.directory)).not.toContain(bad.file.replace(".sql", ".drill.json"));
  });

  it("a backup without a manifest is not drilled, because nothing is known to compare it with", async () => {
    await writeFile(
      join(agent.directory, `${TAMPERED}.sql`),
      await readFile(join(agent.directory, recorded.file)),
    );
    await rm(join(agent.directory, `${TAMPERED}.json`), { force: true });
    const { code, stderr } = await agent.run(["drill", `${TAMPERED}.sql`]);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stderr).toContain("has no manifest, so there is nothing to compare it with");
  });
});
