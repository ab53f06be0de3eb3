// Another stack's data on this one, out of the folder over ssh that has its copies.
import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { type AgeKey, makeAgeKey } from "../support/agent/age-program.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { startSshd, type TestSshd } from "../support/servers/sshd.ts";

const STAGING = "budgie_staging";
const PRODUCTION = "budgie_production";

describe("a refresh over ssh", () => {
  let postgres: TestPostgres;
  let server: TestSshd;
  let production: TestAgent;
  let staging: TestAgent;
  let key: AgeKey;
  let folder: string;

  const query = (text: string, database = STAGING) => queryIn(postgres, database, text);
  const give = (agent: TestAgent, path: string, text: string) =>
    agent.exec(["sh", "-c", `umask 077; printf '%s\n' "$2" > "$1"`, "give", path, text.trimEnd()]);
  const target = () => `ssh://${server.user}@${server.host}:${server.port}${folder}`;
  /** Takes a backup of the other stack, which sends it. Returns its name. */
  const send = async (...more: string[]) => {
    const told = [
      `BUDGIE_SSH_TARGET=${target()}`,
      "BUDGIE_SSH_KEY_FILE=/root/ssh-key",
      `BUDGIE_SSH_HOST_KEY=${server.hostKey}`,
      ...more,
    ];
    const { code, stdout, stderr } = await production.exec([
      "env",
      ...told,
      "budgie-agent",
      "backup",
      "--json",
    ]);
    expect(code, stderr).toBe(EXIT.done);
    return String(JSON.parse(stdout).file);
  };
  const refresh = (...more: string[]) =>
    staging.exec([
      "env",
      "BUDGIE_REFRESH_FROM=prod",
      `BUDGIE_REFRESH_SOURCE=${target()}`,
      "BUDGIE_REFRESH_MASK=./mask.sql",
      "BUDGIE_REFRESH_MASK_FILE=/root/mask.sql",
      "BUDGIE_REFRESH_SSH_KEY_FILE=/root/ssh-key",
      `BUDGIE_REFRESH_SSH_HOST_KEY=${server.hostKey}`,
      ...more,
      "budgie-agent",
      "refresh",
    ]);
  const emails = async () =>
    (await query("SELECT count(*) || ' ' || min(email) AS seen FROM users"))[0]?.seen;
  const isAsItWas = async () => expect(await query("SELECT id FROM own")).toEqual([{ id: 1 }]);

  beforeAll(async () => {
    [server, postgres, key] = await Promise.all([
      startSshd({ shell: false }),
      startPostgres({ env: { POSTGRES_DB: PRODUCTION } }),
      makeAgeKey(),
    ]);
    folder = join(server.folder, "prod");
    await query(
      "CREATE TABLE users AS SELECT n AS id, 'real' || n || '@example.com' AS email FROM generate_series(1, 50) n",
      PRODUCTION,
    );
    await query(`CREATE DATABASE ${STAGING}`, "postgres");
    production = await startAgent(postgres, { database: PRODUCTION, stack: "prod" });
    staging = await startAgent(postgres, {
      database: STAGING,
      stack: "staging",
      manifestKey: "a".repeat(64),
    });
    for (const agent of [production, staging]) await give(agent, "/root/ssh-key", server.userKey);
    await give(staging, "/root/mask.sql", "UPDATE users SET email = 'user' || id || '@example.invalid';");
  });

  beforeEach(async () => {
    await rm(folder, { recursive: true, force: true });
    await production.clear();
    await query("DROP TABLE IF EXISTS own, users; CREATE TABLE own AS SELECT 1 AS id");
    expect((await staging.run(["accept-database"])).code).toBe(EXIT.done);
  });

  afterAll(async () => {
    await staging?.stop();
    await production?.stop();
    await postgres?.stop();
    await server?.stop();
    await key?.remove();
  });

  it("takes the newest whole copy, masked, and passes over one that was not sent to its end", async () => {
    const first = await send();
    const second = await send();
    const { code, stdout, stderr } = await refresh();
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain(`The newest backup of prod in ${target()} is ${second}, of`);
    expect(await emails()).toBe("50 user10@example.invalid");
    await truncate(join(folder, second), 100);
    const again = await refresh();
    expect(again.code, again.stderr).toBe(EXIT.done);
    expect(again.stdout).toContain(`is ${first}, of`);
  });

  it("refuses a copy of which a byte is another one, and an empty folder", async () => {
    const file = await send();
    const path = join(folder, file);
    await writeFile(path, (await readFile(path, "utf8")).replace("real7@", "fake7@"));
    const changed = await refresh();
    expect(changed.code, changed.stderr).toBe(EXIT.unusableBackup);
    expect(changed.stderr).toContain("is not what its manifest recorded");
    for (const name of await readdir(folder)) await rm(join(folder, name));
    const none = await refresh();
    expect(none.code, none.stderr).toBe(EXIT.unusableBackup);
    expect(none.stderr).toContain("There is no backup of stack prod in");
    await isAsItWas();
  });

  it("opens encrypted copies with the key that the settings name", async () => {
    await send(`BUDGIE_BACKUP_RECIPIENTS=${key.recipient}`);
    const closed = await refresh();
    expect(closed.code, closed.stderr).toBe(EXIT.usage);
    expect(closed.stderr).toContain("config set --secret budgie:refreshIdentity < key.txt");
    await give(staging, "/root/identity", key.identity.toString());
    const opened = await refresh("BUDGIE_REFRESH_IDENTITY_FILE=/root/identity");
    expect(opened.code, opened.stderr).toBe(EXIT.done);
    expect(await emails()).toBe("50 user10@example.invalid");
  });

  it("names this stack's own settings where the server is another one, lets nobody in, or does not answer", async () => {
    await send();
    const other = await refresh(`BUDGIE_REFRESH_SSH_HOST_KEY=${server.otherHostKey}`);
    expect(other.code, other.stderr).toBe(EXIT.storeRefused);
    expect(other.stderr).toContain("`budgie:refreshSshHostKey` names");
    await give(staging, "/root/other-key", server.otherUserKey);
    const shut = await refresh("BUDGIE_REFRESH_SSH_KEY_FILE=/root/other-key");
    expect(shut.code, shut.stderr).toBe(EXIT.storeRefused);
    expect(shut.stderr).toContain("with the key in `budgie:refreshSshKey`");
    expect(shut.stderr).not.toContain("offsiteSsh");
    await server.kill();
    const away = await refresh().finally(() => server.start());
    expect(away.code, away.stderr).toBe(EXIT.storeUnreachable);
    expect(away.stderr).toContain("Then: npx budgie refresh");
    await isAsItWas();
  });
});
