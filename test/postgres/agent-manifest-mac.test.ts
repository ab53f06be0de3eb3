import { createHash } from "node:crypto";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { manifestKey, signed } from "../../agent/manifest/mac.ts";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { signedManifest, TEST_KEY } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const CHANGED = "its manifest was changed since this stack's agent wrote it";
const NOT_SIGNED = "its manifest is not signed by this stack's agent";
const ANOTHER_KEY = "its manifest is signed with another key than this stack's";
const NOT_AUTHENTIC = "its manifest was not written by this stack's agent, or was changed since";

interface Listed {
  name: string;
  flaw: string | null;
  authentic: boolean;
  drill: unknown;
}

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
  await makeEntries(postgres, 100, 1);
});

afterAll(() => postgres?.stop());

const startHere = (options: { directory?: string; manifestKey?: string } = {}) =>
  startAgent(postgres, { database: LIVE, ...options });
const sha256 = (text: string | Buffer) => createHash("sha256").update(text).digest("hex");
const jsonName = (file: string) => file.replace(/\.sql(\.gz)?$/, ".json");

async function list(agent: TestAgent): Promise<Map<string, Listed>> {
  const { code, stdout, stderr } = await agent.run(["list", "--json"]);
  expect(code, stderr).toBe(EXIT.done);
  return new Map((JSON.parse(stdout) as Listed[]).map(entry => [entry.name, entry]));
}

async function problems(agent: TestAgent): Promise<{ problems: string; warnings: string }> {
  const status = JSON.parse((await agent.run(["status", "--json"])).stdout);
  return { problems: status.problems.join("\n"), warnings: status.warnings.join("\n") };
}

describe("a manifest that this stack's agent did not write", () => {
  let agent: TestAgent;
  let older: Manifest;
  let newest: Manifest;
  const here = (name: string) => join(agent.directory, name);
  const writeJson = (file: string, value: unknown) =>
    writeFile(here(jsonName(file)), JSON.stringify(value, null, 2));

  beforeAll(async () => {
    agent = await startHere();
    older = await takeBackup(agent);
    newest = await takeBackup(agent);
  });
  afterEach(() => writeJson(newest.file, newest));
  afterAll(() => agent?.stop());

  /** Changes a row, and makes the manifest fit. */
  const forge = async (mac: (manifest: Manifest) => Manifest) => {
    const name = "budgie_20300101_000000.sql";
    const dump = (await readFile(here(newest.file), "utf8")).replace(/^7\t.*$/m, "7\tforged");
    const table = /^1\t[\s\S]*?(?=^\\\.$)/m.exec(dump)?.[0] ?? "";
    const tables = newest.tables.map(entry => ({ ...entry, sha256: sha256(table) }));
    const size = Buffer.byteLength(dump);
    const content = {
      file: name,
      bytes: size,
      contentBytes: size,
      sha256: sha256(dump),
      contentSha256: sha256(dump),
    };
    await writeFile(here(name), dump);
    await writeJson(name, mac({ ...newest, ...content, tables, globals: null }));
    return name;
  };
  const removeForged = async (name: string) => {
    for (const file of [name, jsonName(name)]) await rm(here(file));
  };

  it("is proven where the key signed it: the forgery of these tests is a good one", async () => {
    const name = await forge(manifest => signedManifest(manifest));
    try {
      expect((await agent.run(["verify", name])).code).toBe(EXIT.done);
      const drilled = await agent.run(["drill", name]);
      expect(drilled.code, drilled.stdout + drilled.stderr).toBe(EXIT.done);
    } finally {
      await rm(here(name.replace(".sql", ".drill.json")), { force: true });
      await removeForged(name);
    }
  });

  it.each<[string, (manifest: Manifest) => Manifest, string]>([
    ["the MAC of the backup that it was made of", manifest => manifest, CHANGED],
    ["none", manifest => ({ ...manifest, mac: null }), NOT_SIGNED],
    [
      "one of a key that somebody made up",
      manifest => signedManifest(manifest, "made up by somebody, and long enough"),
      ANOTHER_KEY,
    ],
  ])(
    "with every hash made to fit and %s: is neither good, nor proven, nor the latest",
    async (_what, mac, flaw) => {
      const name = await forge(mac);
      try {
        const verified = await agent.run(["verify", name, "--json"]);
        expect(verified.code).toBe(EXIT.unusableBackup);
        expect(JSON.parse(verified.stdout)).toEqual([{ name, good: false, why: NOT_AUTHENTIC }]);
        expect((await agent.run(["verify", "all"])).code).toBe(EXIT.unusableBackup);

        const drilled = await agent.run(["drill", name]);
        expect(drilled.code).toBe(EXIT.unusableBackup);
        expect(drilled.stderr).toContain(`${name} is not drilled`);
        expect(drilled.stderr).toContain(NOT_AUTHENTIC);
        expect(await readdir(agent.directory)).not.toContain(name.replace(".sql", ".drill.json"));

        expect((await list(agent)).get(name)).toMatchObject({ flaw, authentic: false, drill: null });
        const status = await problems(agent);
        expect(status.problems + status.warnings).toContain(`${name} (${flaw})`);
        expect(status.problems, "what was refused was no drill").not.toContain("The last drill");
        expect((await agent.run(["verify"])).stdout).toContain(`${newest.file}: `);

        const pruned = JSON.parse((await agent.run(["prune", "--dry-run", "--json"])).stdout);
        expect(pruned).toContainEqual(expect.objectContaining({ name, keep: true }));
      } finally {
        await removeForged(name);
      }
    },
  );

  it("is noticed in each of its fields when one bit of it flips, and the status is red", async () => {
    const text = await readFile(here(jsonName(newest.file)), "utf8");
    for (const flip of [
      (json: string) => json.replace('"budgie_dev"', '"cudgie_dev"'),
      (json: string) => json.replace('"reason": "manual"', '"reason": "mantal"'),
      (json: string) => json.replace('"identity": "known"', '"identity": "unexpected"'),
      (json: string) => json.replace(/("rows": )(\d+)/, (_, name, rows) => name + (Number(rows) ^ 1)),
      (json: string) => json.replace(/("databaseBytes": )(\d+)/, (_, name, n) => name + (Number(n) ^ 1)),
      (json: string) => json.replace(/("name": "public\.)e/, "$1d"),
      (json: string) => json.replace(/("rolePasswords": )false/, "$1true"),
      (json: string) =>
        json.replace(/("startedAt": ".*)(\d)(Z")/, (_, a, n, z) => `${a}${Number(n) ^ 1}${z}`),
      (json: string) =>
        json.replace(/("mac": ".*)(.)(")/, (_, a, digit, z) => `${a}${digit === "0" ? "1" : "0"}${z}`),
    ]) {
      const flipped = flip(text);
      expect(flipped).not.toBe(text);
      await writeFile(here(jsonName(newest.file)), flipped);
      const { flaw } = (await list(agent)).get(newest.file) as Listed;
      expect(flaw, flipped).toMatch(/was changed since|manifest not readable/);
    }
    expect((await problems(agent)).problems).toContain(`${newest.file} (`);
    expect((await agent.run(["verify"])).stdout).toContain(`${older.file}: `);
  });

  it("and one that only stands in another order is the same", async () => {
    await writeJson(newest.file, Object.fromEntries(Object.entries(newest).reverse()));
    expect((await list(agent)).get(newest.file)).toMatchObject({ flaw: null, authentic: true });
  });

  it("is another stack's before it is anything else", async () => {
    await writeJson(newest.file, { ...newest, stack: "prod" });
    expect((await list(agent)).get(newest.file)?.flaw).toBe("of stack prod");
  });

  it("cannot be told without the key: nothing is taken for anything, and what helps is said", async () => {
    for (const [path, why] of [
      ["/nowhere", "The backup agent's secret files are missing (/nowhere)"],
      ["/dev/null", "signed with cannot be used: /dev/null is empty or was cut off"],
    ]) {
      for (const args of [["backup"], ["list"], ["drill"], ["verify"]]) {
        const command = ["env", `BUDGIE_MANIFEST_KEY_FILE=${path}`, "budgie-agent", ...args];
        const { code, stderr } = await agent.exec(command);
        expect(code, `${args}: ${stderr}`).toBe(EXIT.failed);
        expect(stderr).toContain(why);
        expect(stderr).toMatch(/pulumi (-- )?up/);
      }
    }
  });
});

describe("a stack whose key was lost with its state", () => {
  it("has backups of before as somebody else's: noted, never the latest, and restored by their names", async () => {
    const before = await startHere();
    const { file } = await takeBackup(before);
    const agent = await startHere({
      directory: before.directory,
      manifestKey: "the stack's next key, and long enough",
    });
    try {
      const latest = await agent.run(["restore", "latest"]);
      expect(latest.code).toBe(EXIT.unusableBackup);
      expect(latest.stderr).toContain(`that counts: ${file} (${ANOTHER_KEY})`);
      expect(latest.stderr).toContain(`npx budgie restore ${file}`);
      const restored = await agent.run(["restore", file]);
      expect(restored.code, restored.stderr).toBe(EXIT.done);

      const next = await takeBackup(agent);
      const listed = await list(agent);
      expect(listed.get(file)?.flaw).toBe(ANOTHER_KEY);
      expect(listed.get(next.file)?.flaw).toBeNull();
      const status = await agent.run(["status"]);
      expect(status.stdout).toContain(`never the latest: ${file} (${ANOTHER_KEY})`);
      expect(status.code, status.stdout).toBe(EXIT.done);
    } finally {
      await agent.stop();
      await before.stop();
    }
  });
});

describe("manifests of before there was a key", () => {
  /** What an older agent left in its directory, by the names that the test gives it. */
  let taken: Manifest[];
  let source: TestAgent;
  let agent: TestAgent | null = null;
  let directory: string;

  beforeAll(async () => {
    source = await startHere();
    taken = [await takeBackup(source), await takeBackup(source, "--format", "sql.gz")];
  });
  afterAll(() => source?.stop());
  afterEach(async () => {
    await agent?.stop();
    agent = null;
  });

  const [plain, zipped] = [() => taken[0] as Manifest, () => taken[1] as Manifest];
  const note = () => join(directory, ".manifest-key-test.json");

  /** Puts an older agent's backup into the directory, with the manifest of that time. */
  const put = async (
    from: Manifest,
    hour: number,
    { change = {}, dump }: { change?: Partial<Manifest>; dump?: (bytes: Buffer) => Buffer } = {},
  ) => {
    const stem = `budgie_20260101_${String(hour).padStart(2, "0")}0000`;
    const name = `${stem}${from.file.slice(stem.length)}`;
    const globals = `${stem}.globals.sql`;
    const bytes = await readFile(join(source.directory, from.file));
    await writeFile(join(directory, name), dump ? dump(bytes) : bytes);
    await copyFile(
      join(source.directory, jsonName(from.file).replace("json", "globals.sql")),
      join(directory, globals),
    );
    const { mac: _mac, ...manifest } = {
      ...from,
      file: name,
      globals: from.globals && { ...from.globals, file: globals },
      ...change,
    };
    await writeFile(
      join(directory, `${stem}.json`),
      JSON.stringify(change.mac ? { ...manifest, mac: change.mac } : manifest),
    );
    return name;
  };
  const begin = async () => {
    agent = await startHere({ directory });
    return agent;
  };
  const said = async () =>
    (await agent?.container.logs({ stdout: true, stderr: true, follow: false }))?.toString() ?? "";
  const patience = { withinMs: 60_000, everyMs: 200, log: said };
  const untilSaid = (text: string, times: number) =>
    until(`"${text}" said ${times} times`, said, log => log.split(text).length > times, patience);
  const noted = async () => JSON.parse(await readFile(note(), "utf8").catch(() => "{}"));
  const untilNoted = (count: number) =>
    until(`a note of ${count} to sign`, noted, ({ toSign, mac }) => mac && toSign.length === count, patience);
  const flaws = async () =>
    Object.fromEntries([...(await list(agent as TestAgent))].map(([name, { flaw }]) => [name, flaw]));

  const fresh = async () => {
    directory = await mkdtemp(join(tmpdir(), "budgie-before-"));
  };

  it("are signed once, when the agent starts: those of this database whose files are as recorded", async () => {
    await fresh();
    const good = await put(plain(), 1);
    const compressed = await put(zipped(), 2);
    const byHand = await put(plain(), 3);
    await writeFile(join(directory, `${byHand}.gz`), gzipSync(await readFile(join(directory, byHand))));
    await rm(join(directory, byHand));
    const rotten = await put(plain(), 4, {
      dump: bytes => Buffer.from(bytes.toString().replace(/^7\t./m, "7\t-")),
    });
    const cut = await put(zipped(), 5, { dump: bytes => bytes.subarray(0, bytes.length - 20) });
    const elsewhere = await put(plain(), 6, { change: { systemIdentifier: "7301" } });
    const wrong = await put(plain(), 7, { change: { mac: plain().mac } });
    const otherStack = await put(plain(), 8, { change: { stack: "prod" } });
    const otherRoles = await put(plain(), 9);
    await writeFile(join(directory, otherRoles.replace(".sql", ".globals.sql")), "-- others\n");
    await begin();
    await untilNoted(1);

    expect(await flaws()).toEqual({
      [good]: null,
      [compressed]: null,
      [`${byHand}.gz`]: null,
      [rotten]: NOT_SIGNED,
      [cut]: `${zipped().bytes - 20} bytes, its manifest says ${zipped().bytes}`,
      [elsewhere]: NOT_SIGNED,
      [wrong]: CHANGED,
      [otherStack]: "of stack prod",
      [otherRoles]: NOT_SIGNED,
    });
    const log = await said();
    for (const name of [good, compressed, `${byHand}.gz`])
      expect(log).toContain(`"done":true,"msg":"Signed the manifest of ${name}`);
    expect(log).toMatch(new RegExp(`The manifest of ${rotten} is not signed: .* is corrupt`));
    expect(log).toMatch(new RegExp(`The manifest of ${cut} is not signed: .* is corrupt`));
    expect(log).toContain(`The manifest of ${elsewhere} is not signed yet`);
    expect(log).toMatch(new RegExp(`The manifest of ${otherRoles} is not signed: .*globals.sql is corrupt`));

    const drilled = await (agent as TestAgent).run(["drill", good]);
    expect(drilled.code, drilled.stderr).toBe(EXIT.done);

    // The agent has its key by now, so an unsigned manifest is not an older agent's.
    const late = await put(plain(), 10);
    await agent?.container.restart();
    await untilSaid(`The manifest of ${elsewhere} is not signed yet`, 2);
    expect((await flaws())[late]).toBe(NOT_SIGNED);

    // Removing the agent's note of that, or writing another one, does not help.
    for (const meddle of [() => rm(note()), () => writeFile(note(), '{"toSign": []}')]) {
      await agent?.container.stop();
      await meddle();
      await agent?.container.start();
      await untilNoted(0);
      expect((await flaws())[late]).toBe(NOT_SIGNED);
    }
  });

  it("are signed in spite of a note that was written by hand", async () => {
    await fresh();
    const name = await put(plain(), 1);
    const byHand = {
      format: 1,
      stack: "test",
      at: new Date().toISOString(),
      toSign: [],
      mac: "0".repeat(81),
    };
    await writeFile(note(), JSON.stringify(byHand));
    await begin();
    await until("its signature", flaws, found => found[name] === null, patience);
  });

  it("that were left when the agent was killed are signed at the next start, and no other", async () => {
    await fresh();
    const [left, since] = [await put(plain(), 1), await put(plain(), 2)];
    const manifestSha256 = sha256(await readFile(join(directory, jsonName(left))));
    const changed = await put(plain(), 3);
    const noted = {
      format: 1,
      stack: "test",
      at: new Date().toISOString(),
      toSign: [
        { name: left, manifestSha256 },
        { name: changed, manifestSha256 },
      ],
    };
    await writeFile(
      note(),
      JSON.stringify(signed(manifestKey(Buffer.from(TEST_KEY)), noted, "first signing")),
    );
    await begin();
    await untilNoted(0);
    expect(await flaws()).toEqual({ [left]: null, [since]: NOT_SIGNED, [changed]: NOT_SIGNED });
  });

  it("do not stand in the way of a backup that comes first, nor are they forgotten for it", async () => {
    await fresh();
    const name = await put(plain(), 1);
    const other = await startHere({ directory });
    try {
      const { file } = await takeBackup(other);
      agent = other;
      await untilNoted(0);
      expect(await flaws()).toEqual({ [name]: null, [file]: null });
    } finally {
      if (agent !== other) await other.stop();
    }
  });

  it("keep an empty database from passing for the right one until they are signed", async () => {
    await fresh();
    const strange = await put(plain(), 1, { change: { systemIdentifier: "7301" } });
    const { code, stderr } = await (await begin()).run(["check-identity"]);
    expect(code).toBe(EXIT.anotherDatabase);
    expect(stderr).toContain(`npx budgie restore ${strange}`);
  });
});
