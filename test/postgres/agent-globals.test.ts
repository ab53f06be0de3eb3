import { createHash } from "node:crypto";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

describe("the roles beside a backup", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  const backup = (...args: string[]) => takeBackup(agent, ...args);
  const local = (file: string) => join(agent.directory, file);

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    await query(
      postgres,
      "budgie_dev",
      `CREATE ROLE "odd reader" NOLOGIN; CREATE ROLE accountant LOGIN PASSWORD 'kept-from-backups' CONNECTION LIMIT 3;
       GRANT "odd reader" TO accountant;
       CREATE TABLE entries AS SELECT n AS id FROM generate_series(1, 100) n;
       ALTER TABLE entries OWNER TO accountant; GRANT SELECT ON entries TO "odd reader"`,
    );
    agent = await startAgent(postgres, { database: "budgie_dev" });
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("are written with it, recorded, readable to their owner alone, and without anybody's password", async () => {
    const { file, globals } = await backup();
    expect(globals?.file).toBe(file.replace(".sql", ".globals.sql"));
    const text = await readFile(local(globals?.file ?? ""), "utf8");
    expect(text).toContain("CREATE ROLE accountant;");
    expect(text).toContain('GRANT "odd reader" TO accountant');
    expect(text).toContain("-- PostgreSQL database cluster dump complete");
    expect(text).not.toMatch(/PASSWORD|SCRAM/);
    expect(globals).toMatchObject({
      bytes: Buffer.byteLength(text),
      sha256: createHash("sha256").update(text).digest("hex"),
      rolePasswords: false,
    });
    expect((await stat(local(globals?.file ?? ""))).mode & 0o777).toBe(0o600);
  });

  it("have their passwords, hashed, only when somebody asks for it", async () => {
    const { globals } = await backup("--role-passwords");
    expect(globals?.rolePasswords).toBe(true);
    const text = await readFile(local(globals?.file ?? ""), "utf8");
    expect(text).toMatch(/ALTER ROLE accountant .*PASSWORD 'SCRAM-SHA-256\$/);
    expect(text).not.toContain("kept-from-backups");
  });

  it("are verified with it", async () => {
    const { file, globals } = await backup();
    const path = local(globals?.file ?? "");
    const text = await readFile(path);
    await writeFile(path, `${text}ALTER ROLE accountant SUPERUSER;\n`);
    const changed = await agent.run(["verify", file]);
    expect(changed.code).toBe(EXIT.unusableBackup);
    expect(changed.stdout).toContain(`${globals?.file} is corrupt`);
    await rm(path);
    const missing = await agent.run(["verify", file]);
    expect(missing.code).toBe(EXIT.unusableBackup);
    expect(missing.stdout).toContain(`${globals?.file}, the roles that belong to it, is missing`);
    await writeFile(path, text);
    expect((await agent.run(["verify", file])).code).toBe(EXIT.done);
  });

  it("are what a restore names when the server lacks one of them, and the line that it says makes them", async () => {
    const { file, globals } = await backup();
    await query(postgres, "budgie_dev", `DROP TABLE entries; DROP ROLE accountant; DROP ROLE "odd reader"`);
    const refused = await agent.run(["restore", file]);
    expect(refused.code).toBe(EXIT.unusableBackup);
    expect(refused.stderr).toMatch(/needs roles that this server does not have: (accountant|odd reader), /);
    expect(refused.stderr).toContain(`npx budgie psql < ./backups/${globals?.file} `);
    expect(refused.stderr).toContain(`CREATE ROLE "odd reader";`);

    // Runs what the line says, with the directory as the agent sees it.
    const made = await agent.exec(["sh", "-c", `psql -d budgie_dev < /backups/${globals?.file}`]);
    expect(made.code, made.stderr).toBe(0);

    const restored = await agent.run(["restore", file]);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect(
      await query(
        postgres,
        "budgie_dev",
        "SELECT rolconnlimit, rolcanlogin, (SELECT tableowner FROM pg_tables WHERE tablename = 'entries') AS owner FROM pg_roles WHERE rolname = 'accountant'",
      ),
    ).toEqual([{ rolconnlimit: 3, rolcanlogin: true, owner: "accountant" }]);
  });

  it("a backup of an earlier version, which has none, is listed, verified and restored", async () => {
    const { file, globals } = await backup();
    const path = local(file.replace(".sql", ".json"));
    const { globals: _, ...earlier } = JSON.parse(await readFile(path, "utf8"));
    await writeSigned(path, earlier as Manifest);
    await rm(local(globals?.file ?? ""));
    expect((await agent.run(["list"])).stdout).not.toMatch(new RegExp(`${file}.*does not count`));
    expect((await agent.run(["verify", file])).code).toBe(EXIT.done);
    expect((await agent.run(["restore", file])).code).toBe(EXIT.done);
  });
});
