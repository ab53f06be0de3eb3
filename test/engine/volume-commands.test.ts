import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { create } from "tar";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { until } from "../support/until.ts";

const IMAGE = "postgres:16-alpine";
const id = randomBytes(3).toString("hex");
const [name, prefix] = [`test${id}`, `budgie-test-${id}`];
const volume = `${prefix}-postgres-data`;
const server = `${prefix}-db`;

let docker: Docker;
let folder: string;
let backups: string;

beforeAll(async () => {
  docker = engineClient((await findEngine()).host);
  folder = await mkdtemp(join(tmpdir(), `${prefix}-`));
  backups = join(folder, "backups");
  await execa("mkdir", [backups]);
  await makeServer();
  await sql("CREATE TABLE kept AS SELECT 42 AS answer");
});

beforeEach(() => rm(join(folder, "volume.tar"), { force: true }));

afterAll(async () => {
  await removeServer();
  await docker
    .getVolume(volume)
    .remove()
    .catch(() => undefined);
  await rm(folder, { recursive: true });
});

async function budgie(args: string[], input?: Buffer | NodeJS.ReadableStream) {
  const result = await execa("node", ["scripts/budgie.mjs", "--stack", prefix, ...args], {
    reject: false,
    all: true,
    ...(input instanceof Buffer ? { input } : { stdin: "ignore" as const }),
  });
  return { code: result.exitCode ?? 1, stdout: result.stdout, all: result.all };
}

/** A database as the stack makes it: its volume and its container with their labels, and no more. */
async function makeServer(): Promise<void> {
  const labels = { [LABEL.stack]: name, [LABEL.prefix]: prefix };
  await docker.createVolume({ Name: volume, Labels: labels });
  const container = await docker.createContainer({
    name: server,
    Image: IMAGE,
    Env: ["POSTGRES_USER=budgie_user", "POSTGRES_DB=budgie_dev", "POSTGRES_HOST_AUTH_METHOD=trust"],
    Labels: { ...labels, [LABEL.role]: "database" },
    HostConfig: { Binds: [`${volume}:/var/lib/postgresql/data`] },
  });
  await container.start();
  await answers();
}

async function removeServer(): Promise<void> {
  const container = docker.getContainer(server);
  await container.stop({ t: 60 }).catch(() => undefined);
  await container.remove({ force: true }).catch(() => undefined);
}

async function sql(text: string): Promise<string> {
  const args = ["exec", server, "psql", "-h", "127.0.0.1", "-XAtqU", "budgie_user", "-d", "budgie_dev", "-c"];
  return (await execa("docker", [...args, text])).stdout;
}

async function answers(): Promise<void> {
  await until(
    "the server answers",
    () => sql("SELECT 1").catch(String),
    said => said === "1",
    {
      withinMs: 120_000,
      everyMs: 300,
    },
  );
}

const isThere = async () =>
  docker
    .getVolume(volume)
    .inspect()
    .then(
      () => true,
      () => false,
    );
const inVolume = (script: string) =>
  execa("docker", ["run", "--rm", "--network=none", "-v", `${volume}:/v`, IMAGE, "sh", "-c", script]);

it("says which volumes there are, how large they are, and who uses them", async () => {
  const list = await budgie(["volume", "list"]);
  expect(list.stdout, list.all).toMatch(new RegExp(`${volume} +\\d.*M +the database +${server} \\(Up`));
  const inspect = await budgie(["volume", "inspect"]);
  expect(inspect.stdout).toMatch(/PostgreSQL 16, .*, system identifier \d+, checksums off, in production/);
  expect((await budgie(["volume", "size"])).stdout).toMatch(/M \(\d+ bytes\)$/);
});

it("is not copied while a server runs on it, and not replaced by a copy", async () => {
  const file = join(folder, "volume.tar");
  for (const args of [
    ["volume", "export", file],
    ["volume", "import", "package.json"],
  ]) {
    const { code, all } = await budgie(args);
    expect(code, all).toBe(EXIT.busy);
    expect(all).toContain("npx budgie stop db");
  }
  expect(await readdir(folder)).toEqual(["backups"]);
  const purge = await budgie(["purge", "--without-backup", "--yes-delete", volume]);
  expect(purge.code, purge.all).toBe(EXIT.notConfirmed);
  expect(purge.all).toContain(`npm run pulumi -- destroy --stack ${name}`);
  expect(await sql("SELECT answer FROM kept")).toBe("42");
});

it("goes into a file and out of it, with every row, and never over data", async () => {
  const file = join(folder, "volume.tar");
  await docker.getContainer(server).stop({ t: 60 });
  const exported = await budgie(["volume", "export", file]);
  expect(exported.code, exported.all).toBe(0);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const again = await budgie(["volume", "export", file]);
  expect(again.code).toBe(EXIT.usage);
  const over = await budgie(["volume", "import", file]);
  expect(over.code, over.all).toBe(EXIT.notConfirmed);
  expect(over.all).toContain("holds data");

  await removeServer();
  await docker.getVolume(volume).remove();
  const whole = await readFile(file);
  const wrong: [string, Buffer, RegExp][] = [
    ["cut off", whole.subarray(0, whole.length / 2), /no whole tar file|cut off/],
    ["cut between two files", whole.subarray(0, whole.length - 1024 * 20), /cut off|no whole tar file/],
    ["compressed", Buffer.from("1f8b0800000000000003", "hex"), /gzip -dc FILE/],
    ["no tar file", Buffer.from("CREATE TABLE x (); ".repeat(200)), /no whole tar file/],
    ["nothing", Buffer.alloc(0), /cut off/],
    ["with a link", await withLink(), /neither a file nor a folder/],
  ];
  for (const [what, bytes, says] of wrong) {
    const bad = join(folder, "bad.tar");
    await writeFile(bad, bytes);
    const { code, all } = await budgie(["volume", "import", bad, "--volume", volume]);
    expect(code, `${what}: ${all}`).toBe(EXIT.unusableBackup);
    expect(all, what).toMatch(says);
    expect(await isThere(), what).toBe(false);
  }

  // As a kill in the midst of it leaves it.
  await docker.createVolume({ Name: volume, Labels: { [LABEL.stack]: name, [LABEL.prefix]: prefix } });
  await inVolume(
    "mkdir -p /v/.budgie-import/base /v/global && echo x > /v/global/half && echo x > /v/.budgie-import/y",
  );
  const imported = await budgie(["volume", "import", file]);
  expect(imported.code, imported.all).toBe(0);
  expect((await inVolume("ls -A /v /v/global")).stdout).not.toMatch(/budgie-import|half/);
  await rm(join(folder, "bad.tar"));
  await removeServer();
  await makeServer();
  expect(await sql("SELECT answer FROM kept")).toBe("42");
});

it("passes through standard output and standard input", async () => {
  await docker.getContainer(server).stop({ t: 60 });
  const out = execa("node", ["scripts/budgie.mjs", "--stack", prefix, "volume", "export", "-"], {
    encoding: "buffer",
  });
  const bytes = Buffer.from((await out).stdout);
  await removeServer();
  await docker.getVolume(volume).remove();
  const { code, all } = await budgie(["volume", "import", "-", "--volume", volume], bytes);
  expect(code, all).toBe(0);
  await makeServer();
  expect(await sql("SELECT answer FROM kept")).toBe("42");
});

it("is deleted by `purge` alone: after a destroy, with a proven backup, and its name typed", async () => {
  const systemIdentifier = await sql("SELECT system_identifier FROM pg_control_system()");
  await removeServer();
  const purge = (...args: string[]) => budgie(["purge", "--backup-dir", backups, ...args]);
  const refused = async (says: string, code: number = EXIT.unusableBackup, ...args: string[]) => {
    const answer = await purge(...args, "--yes-delete", args.length > 0 ? "another" : volume);
    expect(answer.code, answer.all).toBe(code);
    expect(answer.all).toContain(says);
    expect(await isThere()).toBe(true);
  };
  const hours = (ago: number) => new Date(Date.now() - ago * 3_600_000).toISOString();

  await refused("there is no backup in");
  await backup(
    "budgie_20261120_020000",
    { systemIdentifier, finishedAt: hours(100), reason: "manual" },
    "good",
  );
  await refused("is not one that a destroy took");
  await backup("budgie_20261120_020000", { systemIdentifier, finishedAt: hours(100) }, "good");
  await refused("the server served on until");
  await backup("budgie_20261121_020000", { systemIdentifier: "1", finishedAt: hours(0) }, "good");
  await refused("is of another database (1)");
  await backup("budgie_20261122_020000", { systemIdentifier, finishedAt: hours(0), rows: 2 });
  await refused("is not proven, and no proven one holds the same");
  await backup("budgie_20261122_020000", { systemIdentifier, finishedAt: hours(0) });
  await writeFile(join(backups, "budgie_20261122_020000.sql"), "other");
  await refused("is damaged");
  await backup("budgie_20261122_020000", { systemIdentifier, finishedAt: hours(0) });
  await refused("The volume's name was not said", EXIT.notConfirmed, "--without-backup");

  const { code, all } = await purge("--yes-delete", volume);
  expect(code, all).toBe(0);
  expect(all).toContain("DANGER: this deletes the data");
  expect(all).toContain("proven by the drill of budgie_20261120_020000.sql, which holds the same");
  expect(all).toContain("accept-database");
  expect(await isThere()).toBe(false);
  expect((await readdir(backups)).length).toBe(8);
});

/** A backup as the agent leaves it, as far as a purge reads it. */
async function backup(
  stem: string,
  {
    rows = 1,
    reason = "before-change",
    ...rest
  }: { rows?: number; reason?: string } & Record<string, unknown>,
  outcome?: "good",
): Promise<void> {
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const contentSha256 = sha256(`${stem} ${rows}`);
  const content = {
    file: `${stem}.sql`,
    stack: name,
    database: "budgie_dev",
    reason,
    bytes: 4,
    sha256: sha256("dump"),
    contentSha256,
    schemaSha256: sha256("schema"),
    databaseBytes: 8_000_000,
    tables: [{ name: "public.kept", rows, sha256: sha256(String(rows)) }],
    ...rest,
  };
  await writeFile(join(backups, `${stem}.sql`), "dump");
  await writeFile(join(backups, `${stem}.json`), JSON.stringify(content));
  if (outcome)
    await writeFile(join(backups, `${stem}.drill.json`), JSON.stringify({ outcome, contentSha256 }));
}

async function withLink(): Promise<Buffer> {
  const made = join(folder, "made");
  await execa("sh", [
    "-c",
    `mkdir -p ${made}/global && cd ${made} && echo 16 > PG_VERSION && ln -s /etc/passwd x`,
  ]);
  await create({ file: join(folder, "linked.tar"), cwd: made }, ["PG_VERSION", "x"]);
  const bytes = await readFile(join(folder, "linked.tar"));
  await execa("rm", ["-r", made, join(folder, "linked.tar")]);
  return bytes;
}
