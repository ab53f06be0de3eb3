import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { KILLED, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { query } from "../support/database/query.ts";
import { makeTablespace, RICH_DATABASE } from "../support/database/rich.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { SLOW } from "../support/slow-lane.ts";

const FORMATS = ["sql.zst", "dump", "dir.tar"];
/** Older than every backup that these tests take, so that it is never the latest. */
const TAMPERED = "budgie_20010101_000000";

describe("backups in formats other than plain SQL", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  const taken: Record<string, Manifest> = {};

  const ok = async (args: string[], stdin?: Buffer) => {
    const { code, stdout, stderr } = await agent.run(args, stdin);
    expect(code, stdout + stderr).toBe(EXIT.done);
    return stdout;
  };
  const shell = async (script: string) => {
    const { code, stdout, stderr } = await agent.exec(["sh", "-ec", script]);
    expect(code, stderr).toBe(0);
    return stdout;
  };
  const backup = async (format: string): Promise<Manifest> =>
    JSON.parse(await ok(["backup", "--json", "--format", format]));
  const of = (format: string) => taken[format] as Manifest;
  const bytesOf = (format: string) => readFile(join(agent.directory, of(format).file));

  /** What a command unpacked, and what an unfinished backup wrote. */
  const leftovers = async () => [
    ...(await readdir(agent.directory)).filter(name => /partial|incoming/.test(name)),
    ...(await shell("ls -A /var/lib/postgresql/data")).split("\n").filter(Boolean),
  ];

  beforeAll(async () => {
    postgres = await startPostgres();
    await makeTablespace(postgres);
    await query(postgres, "postgres", "CREATE DATABASE budgie_dev");
    await query(postgres, "budgie_dev", RICH_DATABASE);
    agent = await startAgent(postgres, { database: "budgie_dev" });
    for (const format of ["sql", ...FORMATS]) taken[format] = await backup(format);
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it.each(FORMATS)("a %s backup records of every table what a plain one does", async format => {
    const { tables, schemaSha256, contentBytes, bytes, file } = of(format);
    expect(file).toMatch(new RegExp(`^budgie_\\d{8}_\\d{6}\\.${format.replace(".", "\\.")}$`));
    expect({ tables, schemaSha256, contentBytes }).toEqual({
      tables: of("sql").tables,
      schemaSha256: of("sql").schemaSha256,
      contentBytes: of("sql").contentBytes,
    });
    expect(bytes).toBe((await bytesOf(format)).length);
    expect(bytes).toBeLessThan(of("sql").bytes);
    expect(await leftovers()).toEqual([]);
  });

  it("all of them are listed, count, and are verified", async () => {
    expect(await ok(["list"])).not.toContain("does not count");
    const verified = await ok(["verify", "all"]);
    for (const format of FORMATS)
      expect(verified).toMatch(new RegExp(`${of(format).file}: .*all as recorded`));
    expect(await leftovers()).toEqual([]);
  });

  it.each(FORMATS)("a %s backup is proven by a drill", async format => {
    expect(await ok(["drill", of(format).file])).toContain(`${of(format).file} is proven`);
    expect(await leftovers()).toEqual([]);
  });

  it.each(FORMATS)("a %s backup brings back exactly what was there", async format => {
    await query(
      postgres,
      "budgie_dev",
      "DELETE FROM ledger.entries WHERE id % 5 = 0; CREATE TABLE later (id int)",
    );
    const said = await ok(["restore", of(format).file]);
    expect(said).toContain("Database restored. Tables: 7");
    expect(said).not.toContain("Not compared");
    const again = await backup("sql");
    expect(again.tables).toEqual(of("sql").tables);
    expect(again.schemaSha256).toBe(of("sql").schemaSha256);
    expect(await leftovers()).toEqual([]);
  });

  describe("the guide's lines restore a backup with PostgreSQL's own tools", () => {
    it.each(["sql", "sql.gz", ...FORMATS])("%s", async format => {
      taken[format] ??= await backup(format);
      const example = `budgie_20251125_092704.${format}`;
      const guide = (await readFile("docs/guide.md", "utf8")).split("\n");
      const line = guide.find(text => text.startsWith("createdb ") && text.split(" ").includes(example));
      expect(line, `the guide's line for ${example}`).toBeDefined();
      const typed = (line as string).replaceAll("budgie_dev", "by_hand").replace(example, of(format).file);
      // Where the image lacks the program, this machine's decompresses.
      const hasZstd = (await agent.exec(["sh", "-c", "command -v zstd"])).code === 0;
      const plain = "decompressed-on-the-host";
      if (format === "sql.zst" && !hasZstd) {
        await execa("zstd", ["-d", of(format).file, "-o", plain], { cwd: agent.directory });
      }
      const command = hasZstd ? typed : typed.replace(/zstd -dc \S+/, `cat ${plain}`);

      await shell(`cd /backups && ${command}`);

      const comparable = (source: string) =>
        shell(`${source} | grep -Ev '^.(un)?restrict |^-- Dumped' | sha256sum`);
      expect(await comparable("pg_dump by_hand")).toBe(await comparable(`cat /backups/${of("sql").file}`));
      await shell(
        `psql -q -d postgres -c 'DROP DATABASE by_hand' && rm -rf /backups/unpacked /backups/${plain}`,
      );
    });
  });

  describe("a dump that somebody else made, without a manifest", () => {
    it.each([
      ["custom", "pg_dump --format=custom --file=/backups/foreign.dump budgie_dev"],
      ["custom, through a pipe", "pg_dump --format=custom budgie_dev | cat > /backups/foreign.dump"],
      [
        "directory, in a tar file of its own making",
        "pg_dump --format=directory --file=/tmp/d budgie_dev; tar -cf /backups/foreign.dump -C /tmp/d .; rm -r /tmp/d",
      ],
    ])("%s: is restored when it is trusted, from a file and from standard input", async (_what, make) => {
      await shell(make);
      const restored = await ok(["restore", "foreign.dump", "--trust-file"]);
      expect(restored).toContain("Database restored. Tables: 7");
      const bytes = await readFile(join(agent.directory, "foreign.dump"));
      expect(await ok(["restore", "-", "--trust-file"], bytes)).toContain("Database restored. Tables: 7");
      await shell("rm /backups/foreign.dump");
      expect(await leftovers()).toEqual([]);
    });
  });

  describe("what cannot be trusted is refused, and the database is as it was", () => {
    const look =
      "SELECT oid, (SELECT count(*)::int FROM pg_class) AS objects FROM pg_database WHERE datname = 'budgie_dev'";
    const refused = async (file: string) => {
      const before = await query(postgres, "budgie_dev", look);
      const { code, stdout, stderr } = await agent.run(["restore", file]);
      expect(code, stdout + stderr).toBe(EXIT.unusableBackup);
      expect(await query(postgres, "budgie_dev", look)).toEqual(before);
      expect(stderr).not.toMatch(/\n\s+at /);
      expect(await leftovers()).toEqual([]);
      return stderr;
    };

    it.each(FORMATS)("a %s backup, cut off or with one flipped bit, recorded or not", async format => {
      const whole = await bytesOf(format);
      const path = join(agent.directory, of(format).file);
      const flipped = Buffer.from(whole);
      flipped.writeUInt8(whole.readUInt8(whole.length >> 1) ^ 1, whole.length >> 1);
      try {
        for (const bad of [whole.subarray(0, whole.length >> 1), flipped]) {
          await writeFile(path, bad);
          expect(await refused(of(format).file)).toMatch(/is corrupt|cut off/);
          expect((await agent.run(["verify", of(format).file])).code).toBe(EXIT.unusableBackup);
        }
      } finally {
        await writeFile(path, whole);
      }
      await writeFile(join(agent.directory, "foreign"), whole.subarray(0, whole.length >> 1));
      expect(await refused("foreign")).toMatch(/is corrupt|cut off/);
      await rm(join(agent.directory, "foreign"));
    });

    it.each<[string, (dump: Buffer) => Buffer, RegExp]>([
      [
        "an archive of a newer pg_dump",
        dump => Buffer.concat([dump.subarray(0, 6), Buffer.from([99]), dump.subarray(7)]),
        /was made by a newer pg_dump than this server's \(archive version 1\.99\)/,
      ],
    ])("%s", async (_what, change, says) => {
      await writeFile(join(agent.directory, "foreign.dump"), change(await bytesOf("dump")));
      expect(await refused("foreign.dump")).toMatch(says);
      await rm(join(agent.directory, "foreign.dump"));
    });

    it.each([
      ["some other tar file", "tar -cf /backups/foreign.tar -C /etc passwd", /holds passwd/],
      [
        "pg_dump's own tar format",
        "pg_dump --format=tar --file=/backups/foreign.tar budgie_dev",
        /in pg_dump.s tar format, which is not read here/,
      ],
    ])("%s", async (_what, make, says) => {
      await shell(make);
      expect(await refused("foreign.tar")).toMatch(says);
      await shell("rm /backups/foreign.tar");
    });
  });

  describe("a drill finds that an archive is not what was there", () => {
    /** Replaces the recorded archive by one of a different database, with the checksums recomputed. */
    const drillArchiveOf = async (change: string) => {
      await shell(
        `psql -q -d postgres -c 'CREATE DATABASE other' && psql -q -v ON_ERROR_STOP=1 -d other -f /backups/${of("sql").file}`,
      );
      await query(postgres, "other", change);
      await shell(
        `pg_dump --format=custom --file=/backups/${TAMPERED}.dump other && psql -q -d postgres -c 'DROP DATABASE other WITH (FORCE)'`,
      );
      const bytes = await readFile(join(agent.directory, `${TAMPERED}.dump`));
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const manifest = {
        ...of("dump"),
        file: `${TAMPERED}.dump`,
        bytes: bytes.length,
        sha256,
        contentSha256: sha256,
      };
      await writeSigned(join(agent.directory, `${TAMPERED}.json`), manifest);
      const { code, stdout, stderr } = await agent.run(["drill", `${TAMPERED}.dump`]);
      expect(code, stdout + stderr).toBe(EXIT.unusableBackup);
      await shell(`rm /backups/${TAMPERED}.*`);
      return stdout + stderr;
    };

    it.each([
      [
        "one row too few",
        `DELETE FROM ONLY "odd schema".scratch WHERE v = 'item 7'`,
        /scratch has 49 rows instead of 50/,
      ],
      [
        "a sequence left behind",
        "SELECT setval('ledger.invoice_number', 505)",
        /the schema or a sequence's position/,
      ],
      ["a missing extension", "DROP EXTENSION pg_trgm", /the extension pg_trgm is missing/],
      [
        "another value in one row",
        `UPDATE ONLY "odd schema".scratch SET v = 'itEm 7' WHERE v = 'item 7'`,
        /scratch has the right number of rows, but other values/,
      ],
    ])("%s", async (_what, change, says) => {
      expect(await drillArchiveOf(change)).toMatch(says);
    });

    it("a bit that flipped in the stored file", async () => {
      const whole = await bytesOf("dump");
      const path = join(agent.directory, of("dump").file);
      const flipped = Buffer.from(whole);
      flipped.writeUInt8(whole.readUInt8(whole.length - 500) ^ 1, whole.length - 500);
      await writeFile(path, flipped);
      const { code, stdout } = await agent.run(["drill", of("dump").file]);
      await writeFile(path, whole);
      expect(code, stdout).toBe(EXIT.unusableBackup);
      expect(stdout).toMatch(/is bad, and does not count any more/);
      await ok(["drill", of("dump").file]);
    });
  });

  describe("killed while it writes", () => {
    // Enough that a dump takes longer than killing it.
    beforeAll(() =>
      query(
        postgres,
        "budgie_dev",
        "CREATE TABLE large AS SELECT n, md5(n::text) AS note FROM generate_series(1, 2000000) n",
      ),
    );
    afterAll(() => query(postgres, "budgie_dev", "DROP TABLE large"));

    // A directory at first, and so the one that could leave most.
    it.each(SLOW ? FORMATS : ["dir.tar"])("a %s backup, the next one leaves nothing of it", async format => {
      const before = await readdir(agent.directory);
      const killed = await agent.killed(["backup", "--format", format], { afterText: "Backup file" });
      expect(killed.code, killed.stdout).toBe(KILLED);
      const { file } = await backup(format);
      const added = (await readdir(agent.directory)).filter(name => !before.includes(name));
      const stem = file.split(".")[0];
      expect(added.sort()).toEqual([file, `${stem}.globals.sql`, `${stem}.json`].sort());
      expect(await leftovers()).toEqual([]);
    });
  });
});
