import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { onTerminal } from "../support/agent/terminal.ts";
import { freePort } from "../support/servers/free-port.ts";
import { itSlowly } from "../support/slow-lane.ts";
import {
  type ComposeInstall,
  type ComposeOptions,
  composeInstall,
} from "../support/stack/compose-install.ts";
import { type ProjectCopy, projectCopy } from "../support/stack/project-copy.ts";

const SESSION_SECRET = "kT7-old-session-secret-of-the-compose-file";
const PASSWORD = 'of-compose: it\'s"odd"';

let prefix: string;
let old: ComposeInstall | undefined;
let project: ProjectCopy | undefined;

afterEach(async () => {
  if (old) await project?.remove(old.docker, prefix);
  await old?.remove();
  old = undefined;
  project = undefined;
});

async function install(
  options: (prefix: string) => Partial<ComposeOptions> = () => ({}),
): Promise<ComposeInstall> {
  prefix = `budgie-test-${randomBytes(3).toString("hex")}`;
  old = await composeInstall({
    prefix,
    volume: `${prefix}_budgie-postgres-data`,
    user: "ledger_keeper",
    password: PASSWORD,
    database: "household",
    ...options(prefix),
  });
  await old.startDatabase();
  return old;
}

async function cloned(settings: Record<string, string> = {}): Promise<ProjectCopy & { port: number }> {
  const port = await freePort();
  project = await projectCopy({
    databaseName: "budgie_dev",
    namePrefix: prefix,
    httpPort: String(port),
    statusPort: String(await freePort()),
    ...settings,
  });
  return { ...project, port };
}

/** Every row of every table, whatever its order, and where every sequence stands. */
const EVERYTHING = `
  SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
    SELECT c.oid::regclass || ' ' || md5(query_to_xml('SELECT t::text FROM ' || c.oid::regclass || ' AS t ORDER BY 1', true, false, '')::text) AS line
    FROM pg_class AS c WHERE relkind = 'r' AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    UNION ALL SELECT schemaname || '.' || sequencename || ' ' || coalesce(last_value, 0) FROM pg_sequences) AS lines`;

const sqlInStack = async ({ type }: ProjectCopy, text: string) => {
  const { code, all } = await type(
    `npx budgie --stack ${prefix} psql -- -XAtqc "${text.replaceAll('"', '\\"')}"`,
  );
  expect(code, all).toBe(0);
  return all.trim();
};

const api = async (port: number, path: string, options: { body?: unknown; cookie?: string } = {}) => {
  const response = await fetch(`http://127.0.0.1:${port}/api${path}`, {
    method: options.body ? "POST" : "GET",
    headers: {
      connection: "close",
      ...(options.body ? { "content-type": "application/json" } : {}),
      ...(options.cookie ? { cookie: options.cookie } : {}),
    },
    ...(options.body ? { body: JSON.stringify(options.body) } : {}),
  });
  const cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  return { status: response.status, cookie, body: (await response.json()) as Record<string, unknown> };
};

/** The lines of the chapter's first block, as one copies them from there. */
async function chapter(): Promise<string[]> {
  const guide = await readFile("docs/guide.md", "utf8");
  const [, text = ""] = /## Coming from Budgie's compose file\n([\s\S]*?)\n## /.exec(guide) ?? [];
  const [, block = ""] = /```bash\n([\s\S]*?)```/.exec(text) ?? [];
  return block.trim().split("\n");
}

async function noChange({ type }: ProjectCopy): Promise<void> {
  const { code, all } = await type(
    "npm run pulumi -- preview --refresh --expect-no-changes --diff --stack dev",
  );
  expect(code, all).toBe(0);
}

it("the guide's chapter, typed literally, leads from a running compose install to a green status, with every row and session", async () => {
  const { docker, sql, startApi, name, isThere, image } = await install();
  const clone = await cloned();
  const oldPort = await freePort();
  await startApi({ port: oldPort, nginxPort: clone.port, sessionSecret: SESSION_SECRET });
  const person = { email: "test@example.com", first_name: "T", last_name: "U", password: "Password123" };
  const { cookie } = await api(oldPort, "/auth/register", { body: person });
  expect((await api(oldPort, "/ledgers", { body: { name: "Household" }, cookie })).status).toBe(201);
  await sql(
    "CREATE TABLE by_hand (id serial PRIMARY KEY, said text); INSERT INTO by_hand (said) VALUES ('one'), (E'tab\\tand ü')",
  );
  const before = await sql(EVERYTHING);

  let said = "";
  for (const line of await chapter()) {
    const { code, output } = await onTerminal(
      ["sh", "-c", line],
      [{ to: "Take it over into the stack dev?", type: "y\r" }],
      // Adopting is for the stack of this folder. The other commands find their stack on the engine, where tests have theirs.
      { cwd: clone.folder, env: line.includes("adopt") ? clone.env : { ...clone.env, BUDGIE_STACK: prefix } },
    );
    expect(code, `${line}\n${output}`).toBe(0);
    said += output;
  }

  expect(said).toContain(`budgie:databaseName household`);
  expect(said).toContain(`budgie:backendImage ${image}`);
  expect(said).not.toContain(SESSION_SECRET);
  expect(said).not.toContain(PASSWORD);
  const file = await readFile(join(clone.folder, "Pulumi.dev.yaml"), "utf8");
  expect(file).toMatch(/budgie:sessionSecret:\s+secure:/);
  expect(file).not.toContain(SESSION_SECRET);
  // The API writes a session when it is asked; so the rows come first.
  expect(await sqlInStack(clone, EVERYTHING.replaceAll(/\s+/g, " "))).toBe(before);
  expect((await api(clone.port, "/auth/check", { cookie })).body).toMatchObject({ authenticated: true });
  expect(await isThere("frontend")).toBe(true);
  for (const service of ["db", "backend", "nginx"] as const) expect(await isThere(service)).toBe(false);
  expect((await docker.getVolume(`${prefix}_budgie-postgres-data`).inspect()).Name).toBeDefined();
  expect((await docker.getContainer(name("frontend")).inspect()).State.Running).toBe(true);
  await noChange(clone);

  const again = await clone.type("npx budgie adopt --yes");
  expect(again.code, again.all).toBe(0);
  expect(again.all).toContain("Nothing is left to take over");
}, 1_800_000);

itSlowly(
  "killed at any of its steps, it leaves the old rows where they were, and the same command goes on",
  async () => {
    const { docker, sql, startApi, isThere, name } = await install();
    const clone = await cloned({ objectStore: "none" });
    await startApi({
      port: await freePort(),
      nginxPort: await freePort(),
      sessionSecret: "only-twenty-letters",
    });
    await sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
    const setUp = await clone.type("npm run setup");
    expect(setUp.code, setUp.all).toBe(0);

    for (const moment of [
      "The settings are written",
      `Stopping ${name("backend")}`,
      `Stopping ${name("db")}`,
      "Unpacking the volume",
      "holds it now",
    ]) {
      await killAt(clone, moment);
      expect(await isThere("db"), moment).toBe(true);
    }
    // The database's container goes next, at once. The old volume stays whatever is gone.
    await killAt(clone, `${name("backend")} is removed`);
    const facts = await docker.getVolume(`${prefix}_budgie-postgres-data`).inspect();
    expect(facts.Name).toBe(`${prefix}_budgie-postgres-data`);
    await killAt(clone, "database-container creating");
    const { code, all } = await clone.type("npx budgie adopt --yes");

    expect(code, all).toBe(0);
    expect(all).toContain("Its state is put right first");
    expect(await sqlInStack(clone, "SELECT count(*), sum(n) FROM kept")).toBe("1000|500500");
    expect(await isThere("frontend")).toBe(true);
    await noChange(clone);
  },
  2_400_000,
);

async function killAt({ folder, env }: ProjectCopy, text: string): Promise<void> {
  const running = execa("node", ["scripts/budgie.mjs", "adopt", "--yes"], {
    cwd: folder,
    env,
    extendEnv: false,
    stdin: "ignore",
    all: true,
    reject: false,
    detached: true,
  });
  let said = "";
  running.all?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (said.includes(text) && running.pid) process.kill(-running.pid, "SIGKILL");
  });
  const { signal } = await running;
  expect(signal, `${text}:\n${said}`).toBe("SIGKILL");
}

itSlowly(
  "a stopped install on the stack's own volume is taken over in place, with podman-compose's labels",
  async () => {
    const { docker, sql, name, isThere } = await install(own => ({
      volume: `${own}-postgres-data`,
      user: "budgie_user",
      database: "budgie_live",
      labels: "io.podman.compose.project",
    }));
    await sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
    await sql("CREATE DATABASE of_others");
    const before = await sql(EVERYTHING);
    await docker.getContainer(name("db")).stop({ t: 60 });
    const clone = await cloned({ objectStore: "none" });

    const { code, all } = await clone.type("npx budgie adopt --yes");

    expect(code, all).toBe(0);
    expect(all).toMatch(/databases +budgie_live \(\d+M\), of_others \(\d+M\)/);
    expect(all).toContain("The container of the old API is gone");
    expect(await isThere("db")).toBe(false);
    // The reference API makes its own tables beside what was there.
    const after = (await sqlInStack(clone, EVERYTHING.replaceAll(/\s+/g, " "))).split("\n");
    expect(after).toEqual(expect.arrayContaining(before.split("\n")));
    await noChange(clone);
  },
  1_800_000,
);

describe("what it cannot go on with, it says in one line, and changes nothing", () => {
  let folder: string;
  let file: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "budgie-adopt-"));
    file = join(folder, "Pulumi.test.yaml");
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** With no terminal there is nobody to say yes. */
  async function look(args: string[] = [], environment: NodeJS.ProcessEnv = {}, httpPort = 1) {
    await writeFile(file, `config:\n  budgie:namePrefix: ${prefix}\n  budgie:httpPort: "${httpPort}"\n`);
    const { exitCode, all } = await execa(
      "node",
      ["scripts/budgie.mjs", "--stack", `of-${prefix}`, "adopt", "--config-file", file, ...args],
      { env: environment, reject: false, all: true, stdin: "ignore" },
    );
    return { code: exitCode ?? 1, all };
  }
  const refuses = async (code: number, says: string, ...how: Parameters<typeof look>) => {
    const answer = await look(...how);
    expect(answer.code, answer.all).toBe(code);
    expect(answer.all).toContain(says);
    expect(answer.all).toContain("Nothing was changed.");
  };
  const inVolume = (volume: string, script: string) =>
    execa("docker", [
      "run",
      "--rm",
      "--network=none",
      "-v",
      `${volume}:/v`,
      "postgres:16-alpine",
      "sh",
      "-c",
      script,
    ]);

  it("of an engine, an answer, a volume, a database, a port, somebody else, or data in the way", async () => {
    const { docker, command, sql, name } = await install();
    const volume = `${prefix}_budgie-postgres-data`;
    const target = `${prefix}-postgres-data`;
    await sql("CREATE DATABASE other");
    const found = `databases    household (`;

    await refuses(EXIT.engineOrContainerMissing, "No container engine answers", [], {
      DOCKER_HOST: "unix:///nonexistent/engine.sock",
    });
    await refuses(EXIT.notConfirmed, "Nobody said yes");
    await refuses(EXIT.usage, "no old install of Budgie on the volume nosuch", ["--volume", "nosuch"]);
    await refuses(EXIT.usage, "household, other", ["--database", "nosuch"]);

    await docker.createVolume({ Name: `${prefix}-db-of-before` });
    await refuses(EXIT.usage, `the volume ${prefix}-db-of-before (no container)`);
    await refuses(EXIT.notConfirmed, found, ["--volume", volume]);
    await refuses(EXIT.failed, "holds no PostgreSQL database", ["--volume", `${prefix}-db-of-before`]);
    await docker.getVolume(`${prefix}-db-of-before`).remove();

    const port = await freePort();
    const stranger = await docker.createContainer({
      name: `stranger-${prefix.slice(-6)}`,
      Image: "postgres:16-alpine",
      Entrypoint: ["sleep", "1000"],
      ExposedPorts: { "80/tcp": {} },
      HostConfig: {
        Binds: [`${volume}:/looks:ro`],
        PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: String(port) }] },
      },
    });
    try {
      await stranger.start();
      await refuses(EXIT.busy, "is in use by what does not belong to the old install: stranger-");
    } finally {
      await stranger.remove({ force: true });
    }

    // As a server that was killed, and then one that was shut down, has left it.
    for (const how of [{ signal: "SIGKILL" }, null]) {
      const database = docker.getContainer(name("db"));
      if (how) await database.kill(how);
      else {
        await database.start();
        await old?.ready();
        await database.stop({ t: 60 });
      }
      await refuses(EXIT.notConfirmed, found);
      await refuses(EXIT.notConfirmed, "role         ledger_keeper");
    }

    await docker.createVolume({ Name: target });
    try {
      await inVolume(target, "chown postgres /v && gosu postgres initdb -D /v >/dev/null");
      await refuses(EXIT.notConfirmed, "has data already", ["--volume", volume]);
    } finally {
      await docker.getVolume(target).remove();
    }
    await inVolume(volume, "echo 15 > /v/PG_VERSION");
    await refuses(EXIT.unusableBackup, "is of PostgreSQL 15, and the stack runs 16");
    await refuses(EXIT.unusableBackup, `${command} exec ${name("db")} sh -c 'pg_dump`);
    await inVolume(volume, "echo 16 > /v/PG_VERSION");
  });
});
