import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBackupName } from "../../agent/manifest/backup-name.ts";
import type { Status } from "../../agent/status/status.ts";
import { requireUsableDirectory } from "../../components/prepare/backup-directory.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { publishNew } from "../../shared/file-systems.ts";
import { KILLED, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { startReceivableServer } from "../support/agent/point-in-time.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import { mountExfat, mountFat, mountReadOnly, type TestFileSystem } from "../support/faults/file-system.ts";
import type { TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const here: Engine = { host: "unix:///var/run/docker.sock", kind: "docker", reachable: true };
const ROWS = 2000;

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startReceivableServer();
  await makeEntries(postgres, ROWS);
});

afterAll(() => postgres?.stop());

describe.each([
  ["exFAT", () => mountExfat(600)],
  ["exFAT of an ordinary user", () => mountExfat(600, 1000)],
])("the backup directory on %s, without hard links and owners", (_name, mount) => {
  let place: TestFileSystem;
  let agent: TestAgent;

  const status = async (): Promise<Status> => JSON.parse((await agent.run(["status", "--json"])).stdout);
  const again = (...args: string[]) =>
    until(
      "the lock of the killed command free",
      () => agent.run(args),
      ({ code }) => code !== EXIT.busy,
      { withinMs: 20_000 },
    );
  const rows = async () =>
    (await query(postgres, LIVE, "SELECT count(*)::int AS n FROM entries"))[0]?.n as number;

  beforeAll(async () => {
    place = await mount();
    agent = await startAgent(postgres, { database: LIVE, directory: place.directory });
  });

  afterAll(async () => {
    // It would remove the directory, which is mounted.
    await agent?.container.remove({ force: true, v: true });
    await place?.remove();
  });

  it("is taken by `up`, whose look leaves nothing", async () => {
    await requireUsableDirectory(here, place.directory, "./backups", "sql");
    expect((await readdir(place.directory)).filter(name => name.startsWith(".probe"))).toEqual([]);
    const { code, stderr } = await agent.run(["check-identity"]);
    expect(code, stderr).toBe(EXIT.done);
  });

  it("is refused for the format that needs owners, with another one to type", async () => {
    await expect(requireUsableDirectory(here, place.directory, "./backups", "dir.tar")).rejects.toThrow(
      /knows no owners of files \(chown\), which the format dir\.tar needs[\s\S]*budgie:backupFormat sql\.gz/,
    );
    const { code, stderr } = await agent.run(["backup", "--format", "dir.tar"]);
    expect(code).toBe(EXIT.failed);
    expect(stderr).toContain("npx budgie backup --format sql.gz");
  });

  it.each(["sql", "sql.gz", "dump"])("holds backups as %s that are proven and restored", async format => {
    const { file } = await takeBackup(agent, "--format", format);
    const drilled = await agent.run(["drill", file]);
    expect(drilled.code, drilled.stdout + drilled.stderr).toBe(EXIT.done);
    const restored = await agent.run(["restore", file]);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect(await rows()).toBe(ROWS);
    expect((await agent.run(["prune"])).code).toBe(EXIT.done);
  });

  it("says that all is well", async () => {
    await agent.run(["backup"]);
    expect((await status()).problems).toEqual([]);
  });

  it("a kill that left a name that was only taken: the next operation removes it", async () => {
    const name = "budgie_20200101_000000.sql";
    await writeFile(join(place.directory, name), "");
    await writeFile(join(place.directory, `.partial-test-${name}`), "a dump");
    expect((await agent.run(["prune"])).code).toBe(EXIT.done);
    expect((await readdir(place.directory)).filter(found => found.includes("20200101"))).toEqual([]);
  });

  it("a kill at any moment: every file with a backup's name is whole once the next operation is done", async () => {
    await takeBackup(agent);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 300, max: 2500 }), async afterMs => {
        const killed = await agent.killed(["backup"], { afterMs });
        expect([KILLED, EXIT.done]).toContain(killed.code);
        expect((await again("prune")).code).toBe(EXIT.done);
        const names = (await readdir(place.directory)).filter(isBackupName);
        for (const name of names)
          expect((await stat(join(place.directory, name))).size, name).toBeGreaterThan(0);
        const verified = await agent.run(["verify", "all"]);
        expect(verified.code, verified.stdout + verified.stderr).toBe(EXIT.done);
        expect(
          (await readdir(place.directory)).filter(found => /^\.(partial-test|pending)/.test(found)),
        ).toEqual([]);
      }),
      { numRuns: 4, endOnFailure: true },
    );
  });
});

describe.each([
  ["exFAT", () => mountExfat(100)],
  ["FAT32", () => mountFat(300)],
])("giving a file its name on %s", (_name, mount) => {
  let place: TestFileSystem;

  beforeAll(async () => {
    place = await mount();
  });

  afterAll(() => place?.remove());

  it("never overwrites a file that has the name", async () => {
    const [from, to] = [join(place.directory, "from"), join(place.directory, "to")];
    await writeFile(from, "mine");
    await writeFile(to, "theirs");
    await expect(publishNew(from, to)).rejects.toMatchObject({ code: "EEXIST" });
    expect(await readFile(to, "utf8")).toBe("theirs");
    expect(await readFile(from, "utf8")).toBe("mine");
    await Promise.all([from, to].map(path => rm(path)));
  });

  it("of two that want one name, one gets it, whole", async () => {
    const to = join(place.directory, "to");
    const from = ["a", "b", "c"].map(name => join(place.directory, name));
    for (const path of from) await writeFile(path, path.repeat(1000));
    const results = await Promise.allSettled(from.map(path => publishNew(path, to)));
    const winners = from.filter((_, index) => results[index]?.status === "fulfilled");
    expect(winners).toHaveLength(1);
    expect(await readFile(to, "utf8")).toBe(winners[0]?.repeat(1000));
    await Promise.all([...from, to].map(path => rm(path, { force: true })));
  });
});

describe("point in time on exFAT", () => {
  let place: TestFileSystem;
  let agent: TestAgent;

  beforeAll(async () => {
    place = await mountExfat(900);
    agent = await startAgent(postgres, {
      database: LIVE,
      directory: place.directory,
      environment: { BUDGIE_POINT_IN_TIME: "true" },
    });
  });

  afterAll(async () => {
    await agent?.container.remove({ force: true, v: true });
    await place?.remove();
  });

  it("receives, compresses, and goes back to a moment", async () => {
    const status = async (): Promise<Status> => JSON.parse((await agent.run(["status", "--json"])).stdout);
    const reached = (at: number) =>
      until("the moment", status, ({ pointInTime }) => Date.parse(pointInTime?.latest ?? "") > at, {
        withinMs: 120_000,
        everyMs: 500,
      });
    await reached(Date.now());
    await query(postgres, LIVE, "SELECT pg_switch_wal()");
    const at = Date.now() + 1000;
    await reached(at);
    await query(postgres, LIVE, "DELETE FROM entries");
    const { code, stderr } = await agent.run(["restore", "--at", new Date(at).toISOString()]);
    expect(code, stderr).toBe(EXIT.done);
    expect((await query(postgres, LIVE, "SELECT count(*)::int AS n FROM entries"))[0]?.n).toBe(ROWS);
  });
});

describe("a directory that cannot take backups is refused by `up`, with the reason", () => {
  let place: TestFileSystem;

  const refused = (directory: string) =>
    requireUsableDirectory(here, directory, "./backups", "sql").then(
      () => "it was taken",
      (error: Error) => error.message,
    );

  it("for being mounted read-only", async () => {
    place = await mountReadOnly();
    try {
      expect(await refused(place.directory)).toMatch(
        /\.\/backups .*\(EROFS\)\. Nothing was changed\.\n {2}Mount it for writing\.\n {2}npm run pulumi -- config set budgie:backupDir/,
      );
    } finally {
      await place.remove();
    }
  });

  it("for a FAT driver whose readers do not see what is being written", async () => {
    place = await mountFat(300);
    try {
      expect(await refused(place.directory)).toMatch(
        /does not let a file be read while it is written \(read\) \(.+\)\. Nothing was changed\./,
      );
      expect(await readdir(place.directory)).toEqual([]);
    } finally {
      await place.remove();
    }
  });

  it("for a disk without the room that stays free for the database", async () => {
    place = await mountExfat(60);
    try {
      expect(await refused(place.directory)).toMatch(
        /has no space for backups: \d+ MB are free, and 64 MB stay free for the database\. Nothing was changed\.\n {2}Free some space there\./,
      );
    } finally {
      await place.remove();
    }
  });

  it("for a disk that is full to the last byte", async () => {
    place = await mountExfat(20);
    try {
      await writeFile(join(place.directory, "filling"), Buffer.alloc(64 << 20)).catch(() => undefined);
      expect(await refused(place.directory)).toMatch(/Free some space there\./);
    } finally {
      await place.remove();
    }
  });
});
