// The machine is lost, and what is left is the folder over ssh that has its copies.
import { appendFile, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { type AgeKey, makeAgeKey } from "../support/agent/age-program.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { LIVE } from "../support/database/live.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { startSshd, type TestSshd } from "../support/servers/sshd.ts";

describe("copies over ssh", () => {
  let before: TestPostgres;
  let fresh: TestPostgres;
  let server: TestSshd;
  let sender: TestAgent;
  let receiver: TestAgent;
  let key: AgeKey;
  let folder: string;

  const target = () => `ssh://${server.user}@${server.host}:${server.port}${folder}`;
  const give = (agent: TestAgent, path: string, text: string) =>
    agent.exec(["sh", "-c", `umask 077; printf '%s\n' "$2" > "$1"`, "give", path, text.trimEnd()]);
  const run = (agent: TestAgent, args: string[], more: string[] = []) =>
    agent.exec([
      "env",
      `BUDGIE_SSH_TARGET=${target()}`,
      "BUDGIE_SSH_KEY_FILE=/root/ssh-key",
      `BUDGIE_SSH_HOST_KEY=${server.hostKey}`,
      ...more,
      "budgie-agent",
      ...args,
    ]);
  /** Takes a backup, which is sent. Returns its name. */
  const send = async (...more: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(sender, ["backup", "--json"], more);
    expect(code, stderr).toBe(EXIT.done);
    return JSON.parse(stdout).file;
  };
  const there = async (...args: string[]) => run(receiver, [...args, "--from", "ssh"]);
  const rows = () => queryIn(fresh, LIVE, "SELECT sum(id)::int AS sum FROM entries").catch(() => null);
  const ownEmptyDatabase = async () => {
    await queryIn(fresh, "postgres", `DROP DATABASE ${LIVE} WITH (FORCE)`);
    await queryIn(fresh, "postgres", `CREATE DATABASE ${LIVE}`);
  };

  beforeAll(async () => {
    [server, before, fresh, key] = await Promise.all([
      startSshd({ shell: false }),
      startPostgres({ env: { POSTGRES_DB: LIVE } }),
      startPostgres({ env: { POSTGRES_DB: LIVE } }),
      makeAgeKey(),
    ]);
    folder = join(server.folder, "copies");
    await queryIn(before, LIVE, "CREATE TABLE entries AS SELECT id FROM generate_series(1, 100) id");
    sender = await startAgent(before, { database: LIVE });
    receiver = await startAgent(fresh, { database: LIVE });
    for (const agent of [sender, receiver]) await give(agent, "/root/ssh-key", server.userKey);
  });

  beforeEach(async () => {
    await rm(folder, { recursive: true, force: true });
    await Promise.all([sender.clear(), receiver.clear(), ownEmptyDatabase()]);
    await receiver.run(["accept-database"]);
  });

  afterAll(async () => {
    await receiver?.stop();
    await sender?.stop();
    await Promise.all([before?.stop(), fresh?.stop()]);
    await server?.stop();
    await key?.remove();
  });

  it("bring the newest back, and are shown, read and drilled where they are", async () => {
    const first = await send();
    const second = await send();
    const list = await there("list");
    expect(list.stdout).toContain(second);
    expect(list.stdout).toContain(first);
    const verified = await there("verify", "all");
    expect(verified.code, verified.stderr).toBe(EXIT.done);
    const drilled = await there("drill");
    expect(drilled.code, drilled.stderr).toBe(EXIT.done);
    expect(drilled.stdout).toContain(`${target()}/${second} is proven`);
    expect(await readdir(receiver.directory)).not.toContain(second);

    const restored = await there("restore", "latest");
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect(restored.stdout).toContain(`latest is ${second}`);
    expect(await rows()).toEqual([{ sum: 5050 }]);
  });

  it("that are encrypted are opened by the private key alone", async () => {
    await send();
    const sealed = await send(`BUDGIE_BACKUP_RECIPIENTS=${key.recipient}`);
    const without = await there("restore", "latest");
    expect(without.code).not.toBe(EXIT.done);
    expect(without.stderr).toContain("--identity");
    expect(await rows()).toBeNull();

    const restored = await there("restore", sealed, "--identity", await receiver.keepIdentity(key.identity));
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect(await rows()).toEqual([{ sum: 5050 }]);
  });

  it("count as somebody else's after the stack's key was lost, and are restored by their name", async () => {
    const name = await send();
    const stranger = await startAgent(fresh, { database: LIVE, manifestKey: "b".repeat(64) });
    try {
      await give(stranger, "/root/ssh-key", server.userKey);
      const refused = await run(stranger, ["restore", "latest", "--from", "ssh"]);
      expect(refused.code).toBe(EXIT.unusableBackup);
      expect(refused.stderr).toContain(`npx budgie restore ${name} --from ssh`);
      const restored = await run(stranger, ["restore", name, "--from", "ssh"]);
      expect(restored.code, restored.stderr).toBe(EXIT.done);
      expect(await rows()).toEqual([{ sum: 5050 }]);
    } finally {
      await stranger.stop();
    }
  });

  it("of which a byte is another one are not kept, and the database stays what it was", async () => {
    const name = await send();
    const path = join(folder, name);
    const text = await readFile(path, "utf8");
    await rm(path);
    await appendFile(path, text.replace("\n77\n", "\n78\n"));
    const verified = await there("verify", name);
    expect(verified.code).toBe(EXIT.unusableBackup);
    const restored = await there("restore", "latest");
    expect(restored.code).toBe(EXIT.unusableBackup);
    expect(restored.stderr).toContain(`${target()}/${name} is corrupt`);
    expect(restored.stderr).toContain("npx budgie list --from ssh");
    expect(await readdir(receiver.directory)).not.toContain(name);
    expect(await rows()).toBeNull();
  });

  it("cannot be had where there is no server, and hold no moment to go back to", async () => {
    const none = await receiver.run(["restore", "latest", "--from", "ssh"]);
    expect(none.code).toBe(EXIT.usage);
    expect(none.stderr).toContain("budgie:offsiteSsh is not set");
    const away = await run(
      receiver,
      ["restore", "latest", "--from", "ssh"],
      ["BUDGIE_SSH_TARGET=ssh://nobody@127.0.0.1:1/copies"],
    );
    expect(away.code).toBe(EXIT.storeUnreachable);
    expect(away.stderr).toContain("Run the same command again when it answers");
    const moment = await there("restore", "--at", "2026-11-22 14:03:00+01");
    expect(moment.code).toBe(EXIT.usage);
    expect(moment.stderr).toContain("WAL is in the backup directory and in the bucket");
  });
});
