import { createHash } from "node:crypto";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { DEFAULT_MAJOR_VERSION } from "../../shared/database-image.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { TEST_MAJOR } from "../support/servers/major.ts";
import { describeSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

/** The next one, or the one that `POSTGRES_MAJOR` names. */
const NEWER = TEST_MAJOR === DEFAULT_MAJOR_VERSION ? "17" : TEST_MAJOR;

let stack: TestStack;
let volume: string;

async function bring(): Promise<void> {
  stack = await createStack();
  volume = `${stack.prefix}-postgres-data`;
  await stack.up();
  await stack.sql(
    "CREATE TABLE kept (id serial PRIMARY KEY, said text); INSERT INTO kept (said) SELECT md5(g::text) FROM generate_series(1, 1000) AS g",
  );
  await stack.sql("SELECT lo_from_bytea(4711, 'a large object')");
  await stack.sql("CREATE ROLE reader PASSWORD 'of-the-reader'; GRANT SELECT ON kept TO reader");
}

async function remove(): Promise<void> {
  const left = stack ? await keptNames() : [];
  await stack?.remove();
  for (const name of left) await stack.docker.getVolume(name).remove();
}

async function keptNames(): Promise<string[]> {
  const { Volumes: all } = await stack.docker.listVolumes();
  return all
    .filter(({ Labels: labels }) => labels?.[LABEL.keptAside] === volume)
    .map(({ Name: name }) => name)
    .sort();
}

const EVERYTHING = `SELECT count(*), md5(string_agg(id || said, ',' ORDER BY id)), (SELECT last_value FROM kept_id_seq),
  convert_from(lo_get(4711), 'UTF8'), has_table_privilege('reader', 'kept', 'SELECT') FROM kept`;
const everything = () => stack.sql(EVERYTHING.replaceAll(/\s+/g, " "));
const version = () => stack.sql("SELECT current_setting('server_version_num')::int / 10000");
const upgrade = (...args: string[]) =>
  stack.budgie(["upgrade", "--yes", "--config-file", stack.configFile, ...args]);

async function succeeds(running: ReturnType<typeof upgrade>): Promise<string> {
  const { code, all } = await running;
  expect(code, all).toBe(0);
  return all;
}

async function serves(rows: string, major: string): Promise<void> {
  expect(await version()).toBe(major);
  expect(await everything()).toBe(rows);
  expect((await fetch(`${stack.url}/health`)).status).toBe(200);
  const status = await stack.budgie(["status"]);
  expect(status.code, status.all).toBe(0);
  await stack.requireNoChange();
}

/** Every name and every byte, but for the notes of the command. */
async function contentOf(name: string): Promise<string> {
  const script =
    "cd /v && find . -type f ! -name '.budgie-recovery*' | sort | while read -r f; do sha256sum \"$f\"; done; find . | grep -v budgie-recovery | sort";
  const args = [
    "run",
    "--rm",
    "--network=none",
    "-v",
    `${name}:/v`,
    "postgres:16-alpine",
    "sh",
    "-c",
    script,
  ];
  return createHash("sha256")
    .update((await execa("docker", args)).stdout)
    .digest("hex");
}

const idle = async () => {
  const work = await stack.docker
    .getContainer(`${volume}-work`)
    .inspect()
    .catch(() => undefined);
  return !work?.State.Running;
};

/** Runs it, and kills it as soon as it says this. */
async function killAt(line: string, ...more: string[]): Promise<void> {
  const args = ["scripts/budgie.mjs", "--stack", stack.name, "upgrade", "--yes"];
  const running = execa("node", [...args, "--config-file", stack.configFile, ...more], {
    reject: false,
    all: true,
    stdin: "ignore",
    env: stack.invocation().env,
  });
  let said = "";
  running.all.on("data", chunk => {
    said += String(chunk);
    if (said.includes(line)) running.kill("SIGKILL");
  });
  const { signal, all } = await running;
  expect(signal, `${line}: ${all}`).toBe("SIGKILL");
  await until("the helper ended", idle, is => is, { withinMs: 120_000, everyMs: 300 });
}

describeSlowly("to the next major version of PostgreSQL", () => {
  beforeEach(bring);
  afterEach(remove);

  it("brings every row, role, sequence and large object, keeps the old volume whole, and comes back", async () => {
    const before = await everything();
    await stack.set("postgresVersion", NEWER);
    const asked = await stack.budgie(["upgrade", "--config-file", stack.configFile]);
    expect(asked.code, asked.all).toBe(EXIT.notConfirmed);
    expect(asked.all).toContain(`PostgreSQL 16 becomes ${NEWER}`);
    expect(await keptNames()).toEqual([]);
    expect(await version()).toBe("16");

    const said = await succeeds(upgrade());
    const [kept = ""] = await keptNames();
    expect(said).toContain(kept);
    expect(kept).toMatch(/-pg16-\d{8}-\d{6}$/);
    await serves(before, NEWER);
    expect(await stack.sql("INSERT INTO kept (said) VALUES ('on the newer') RETURNING id")).toContain("1001");
    const list = await succeeds(stack.budgie(["list", "--json"]));
    const [newest] = JSON.parse(list.slice(list.indexOf("["))) as {
      drill: { outcome: string };
      manifest: { serverVersion: string };
    }[];
    expect(newest?.manifest.serverVersion).toMatch(new RegExp(`^${NEWER}\\.`));
    expect(newest?.drill.outcome).toBe("good");

    // A backup of the older version goes through the door of the newer one.
    const now = await everything();
    const older = (
      JSON.parse(list.slice(list.indexOf("["))) as { name: string; manifest: { serverVersion: string } }[]
    ).find(({ manifest }) => manifest.serverVersion.startsWith("16."));
    await succeeds(stack.budgie(["restore", older?.name ?? "", "--yes"]));
    expect(await everything()).toBe(before);
    await succeeds(stack.budgie(["restore", "--undo", "--yes"]));
    expect(await everything()).toBe(now);

    const wholeBefore = await contentOf(kept);
    await succeeds(upgrade("--undo"));
    await serves(before, "16");
    expect(await contentOf(kept)).toBe(wholeBefore);
    expect(await keptNames()).toHaveLength(2);
    const none = await upgrade("--undo");
    expect(none.code, none.all).toBe(EXIT.notConfirmed);
  });

  it("lets nobody begin on the emptied volume, whatever the setting says; a database that was made there is seen", async () => {
    const before = await everything();
    await stack.set("postgresVersion", NEWER);
    await killAt("is empty");
    for (const setting of [NEWER, "16"]) {
      await stack.set("postgresVersion", setting);
      const { code, all } = await stack.pulumi("up", "--yes", "--skip-preview");
      expect(code, all).not.toBe(0);
      expect(all).toContain(`An upgrade from PostgreSQL 16 to ${NEWER} was begun and has not ended.`);
      expect(all).toContain("npx budgie upgrade --undo");
    }
    const put = await upgrade();
    expect(put.code, put.all).toBe(EXIT.busy);
    expect(put.all).toContain(`config set budgie:postgresVersion ${NEWER}`);
    const started = await stack.budgie(["start"]);
    expect(started.code, started.all).toBe(EXIT.busy);
    expect(started.all).toContain("Nothing was started.");

    await stack.set("postgresVersion", NEWER);
    const server = stack.docker.getContainer(`${stack.prefix}-db`);
    await server.start();
    // The container's own healthcheck. Without systemd Podman runs it for nobody.
    const [, ...check] = (await server.inspect()).Config.Healthcheck?.Test ?? [];
    const checked = async () => (await collectFromContainer(server, check)).code;
    await until("a new database there", checked, code => code === 0, { withinMs: 120_000 });
    expect(await version()).toBe("16");
    expect(await succeeds(upgrade())).toContain("has made a new database of PostgreSQL 16 there");
    await serves(before, NEWER);
  });

  it("goes on after a kill at each step, forwards and back", async () => {
    const before = await everything();
    await stack.set("postgresVersion", NEWER);
    for (const line of ["Copying ", "is empty", "Pulumi makes", "It is filled from"]) await killAt(line);
    await succeeds(upgrade());
    await serves(before, NEWER);
    for (const line of ["Copying ", "is empty", "holds what it held", "Pulumi makes"])
      await killAt(line, "--undo");
    await succeeds(upgrade("--undo"));
    await serves(before, "16");
  });
});
