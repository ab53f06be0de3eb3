import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

describe("a backup that cannot be trusted is refused before anything is touched", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let good: string;
  let dump: Buffer;

  const databases = async () => {
    const [row] = await query(
      postgres,
      LIVE,
      "SELECT (SELECT array_agg(oid || datname ORDER BY oid) FROM pg_database) AS databases, (SELECT count(*)::int FROM entries) AS entries",
    );
    return row;
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    await query(
      postgres,
      LIVE,
      "CREATE TABLE entries AS SELECT n AS id, 'note ' || n AS note FROM generate_series(1, 5000) n",
    );
    agent = await startAgent(postgres, { database: "budgie_dev" });
    good = (await takeBackup(agent)).file;
    dump = await readFile(join(agent.directory, good));
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  /** What is wrong, how the file is made out of a good one, and what the operator reads. */
  const untrusted: [string, () => Buffer, RegExp][] = [
    ["cut off in the middle of a table", () => dump.subarray(0, dump.length / 2), /is cut off/],
    [
      "cut off one byte before its completion line",
      () => dump.subarray(0, dump.indexOf("dump complete") + 12),
      /is cut off/,
    ],
    ["empty", () => Buffer.alloc(0), /is empty/],
    ["no dump at all", () => Buffer.from("hello"), /is not a pg_dump file/],
    [
      "a dump that connects to another database",
      () => Buffer.from(dump.toString().replace("\n--\n-- Name", "\n\\connect budgie_dev\n--\n-- Name")),
      /would leave the database/,
    ],
  ];

  it.each(untrusted)("a file that is %s", async (_what, make, says) => {
    const before = await databases();
    await writeFile(join(agent.directory, "foreign.sql"), make());

    const { code, stdout, stderr } = await agent.run(["restore", "foreign.sql"]);

    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stdout).not.toContain("Step 1");
    expect(await databases()).toEqual(before);
  });

  it.each([0, 0.25, 0.5, 0.75, 0.999])("one flipped bit at %f of a recorded backup", async where => {
    const before = await databases();
    const path = join(agent.directory, good);
    await writeFile(path, flipped(dump, Math.floor(dump.length * where)));
    try {
      const { code, stderr } = await agent.run(["restore", good]);
      expect(code).toBe(EXIT.unusableBackup);
      expect(stderr).toMatch(/is corrupt|is cut off|is not a pg_dump file/);
      expect((await agent.run(["verify", good])).code).toBe(EXIT.unusableBackup);
      expect(await databases()).toEqual(before);
    } finally {
      await writeFile(path, dump);
    }
  });

  it("a gzipped backup whose compression breaks off", async () => {
    const { file } = await takeBackup(agent, "--format", "sql.gz");
    const path = join(agent.directory, file);
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 100));
    const { code, stderr } = await agent.run(["restore", file]);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stderr).toContain("is corrupt");
    await writeFile(path, bytes);
  });

  it("a file that does not exist", async () => {
    const { code, stderr } = await agent.run(["restore", "budgie_20200101_000000.sql"]);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stderr).toBe(
      "[✗] ./backups/budgie_20200101_000000.sql does not exist.\n    Use another backup: `npx budgie list` shows them.\n",
    );
  });

  it.each([
    [["restore", "--no-such-flag"]],
    [["restore"]],
    [["backup", "--reason", "because"]],
    [["frobnicate"]],
  ])("a bad command line: %j", async args => {
    const before = await databases();
    const { code, stderr } = await agent.run(args);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toMatch(/^(\[✗\]|error:)/);
    expect(await databases()).toEqual(before);
  });

  it("another stack's backup, unless that stack is named", async () => {
    const manifestPath = join(agent.directory, good.replace(".sql", ".json"));
    const manifest = await readFile(manifestPath, "utf8");
    await writeFile(manifestPath, manifest.replace('"stack": "test"', '"stack": "prod"'));
    const { code, stderr } = await agent.run(["restore", good]);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stderr).toContain(`npx budgie restore ${good} --from-stack prod`);
    expect((await agent.run(["restore", good, "--from-stack", "prod"])).code).toBe(EXIT.done);
    await writeFile(manifestPath, manifest);
  });

  it("a backup that needs a role which this server does not have", async () => {
    const manifestPath = join(agent.directory, good.replace(".sql", ".json"));
    const manifest = await readFile(manifestPath, "utf8");
    await writeSigned(manifestPath, { ...JSON.parse(manifest), roles: ["accountant"] });
    const { code, stderr } = await agent.run(["restore", good]);
    expect(code).toBe(EXIT.unusableBackup);
    expect(stderr).toContain('CREATE ROLE "accountant";');
    await writeFile(manifestPath, manifest);
  });

  it.each(["PGPASSFILE", "BUDGIE_MANIFEST_KEY_FILE"])(
    "a container that another tool made again is told, without the file that %s names",
    async variable => {
      for (const command of [["backup"], ["restore", good]]) {
        const { code, stderr } = await agent.exec([
          "env",
          `${variable}=/nowhere`,
          "budgie-agent",
          ...command,
        ]);
        expect(code, stderr).toBe(EXIT.failed);
        expect(stderr).toContain("secret files are missing (/nowhere)");
        expect(stderr).toContain("Have the stack make it anew: npm run pulumi -- up");
      }
    },
  );

  it("a whole dump that does not load leaves the database as it was and no candidate behind", async () => {
    const before = await databases();
    await writeFile(
      join(agent.directory, "foreign.sql"),
      dump.toString().replace("CREATE TABLE public.entries", "CREATE TABLE nowhere.entries"),
    );
    const { code, stderr } = await agent.run(["restore", "foreign.sql"]);
    expect(code).toBe(EXIT.failed);
    expect(stderr).toContain('schema "nowhere" does not exist');
    expect(await databases()).toEqual(before);
  });
});

describe("a database that is suddenly another one", () => {
  it("is refused with the two ways out, and its backups never count as the latest", async () => {
    const [first, second] = await Promise.all([
      startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
      startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
    ]);
    const agent = await startAgent(first, { database: "budgie_dev" });
    const { file } = await takeBackup(agent);
    // Only now: at its start an agent clears away what its stack has left half-written in the directory.
    const other = await startAgent(second, { database: "budgie_dev", directory: agent.directory });
    try {
      expect((await agent.run(["check-identity"])).code).toBe(EXIT.done);

      const refused = await other.run(["check-identity"]);
      expect(refused.code).toBe(EXIT.anotherDatabase);
      expect(refused.stderr).toContain("npx budgie restore latest");
      expect(refused.stderr).toContain("npx budgie accept-database");
      expect((await other.run(["status"])).code).toBe(EXIT.notFine);

      const strange = JSON.parse((await other.run(["backup", "--json"])).stdout);
      expect(strange.identity).toBe("unexpected");
      const restored = JSON.parse((await other.run(["restore", "latest", "--json"])).stdout);
      expect(restored.source).toBe(file);
      expect((await other.run(["check-identity"])).code).toBe(EXIT.done);

      expect((await agent.run(["check-identity"])).code).toBe(EXIT.anotherDatabase);
      expect((await agent.run(["accept-database"])).code).toBe(EXIT.done);
      expect((await agent.run(["check-identity"])).code).toBe(EXIT.done);
    } finally {
      await Promise.all([agent.stop(), other.stop(), first.stop(), second.stop()]);
    }
  });
});
