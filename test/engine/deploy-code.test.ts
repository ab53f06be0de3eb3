// A new version of the API's code, as `git pull && npm run up` brings it, and a terminal in the database.
import { appendFile, copyFile, mkdtemp, rm, utimes } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { httpStatus } from "../../shared/http-status.ts";
import { onTerminal } from "../support/agent/terminal.ts";
import { writeBackend } from "../support/backend.ts";
import { type PodmanKind, startPodman, type TestPodman } from "../support/servers/podman.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

const ENGINES = process.env.ENGINES === "all" ? (["Docker", "rootful"] as const) : (["Docker"] as const);
/** On a machine that does nothing else. Where others wait for its processors, it takes as many times longer. */
const DOWN_MS = 5000;
const LOOK_MS = 50;

describe.each<"Docker" | PodmanKind>(ENGINES)("on %s", engine => {
  let podman: TestPodman | undefined;
  let stack: TestStack;
  let folder: string;

  const ids = async () => ({
    db: await stack.containerId("db"),
    backup: await stack.containerId("backup"),
    backend: await stack.containerId("backend"),
  });
  const api = async (path: string, cookie: string, body?: object) => {
    const response = await fetch(`${stack.url}/api${path}`, {
      method: body ? "POST" : "GET",
      // A connection kept open across a restart would fail the next request.
      headers: { connection: "close", "content-type": "application/json", ...(cookie ? { cookie } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return { response, json: (await response.json()) as Record<string, unknown> };
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "budgie-api-"));
    await writeBackend(join(folder, "server.cjs"));
    await copyFile("backend/Dockerfile", join(folder, "Dockerfile"));
    if (engine !== "Docker") podman = await startPodman(engine);
    const settings = { backendContext: folder };
    stack = podman
      ? await createStack(
          { ...settings, backupDir: await podman.operatorsFolder() },
          { DOCKER_HOST: podman.engine.host },
        )
      : await createStack(settings);
    await stack.up();
  });

  afterAll(async () => {
    await stack?.remove();
    if (podman) await rm(stack.backupDir, { recursive: true, force: true });
    await podman?.stop();
    if (folder) await rm(folder, { recursive: true });
  });

  /** Runs `work`, and returns for how long the API did not serve meanwhile, at most, in milliseconds. */
  async function downDuring(work: () => Promise<unknown>): Promise<number> {
    let ended = false;
    let [served, longest] = [Date.now(), 0];
    const looking = (async () => {
      while (!ended) {
        if ((await httpStatus(`${stack.url}/health`).catch(() => 0)) === 200) {
          longest = Math.max(longest, Date.now() - served);
          served = Date.now();
        }
        await delay(LOOK_MS);
      }
    })();
    await work().finally(() => {
      ended = true;
    });
    await looking;
    return Math.max(longest, Date.now() - served);
  }

  it("replaces the API alone, within seconds; who was signed in still is, and every row is there", async () => {
    const { response } = await api("/auth/register", "", {
      email: "test@example.com",
      first_name: "Test",
      last_name: "User",
      password: "Password123",
    });
    const cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    await api("/ledgers", cookie, { name: "Household" });
    const rows = () =>
      stack.sql("SELECT (SELECT count(*) FROM users) || ' ' || (SELECT count(*) FROM ledgers)");
    const [before, rowsBefore] = [await ids(), await rows()];

    await appendFile(join(folder, "server.cjs"), "\n// a later version\n");
    const down = await downDuring(() => stack.up());
    const after = await ids();
    expect([after.db, after.backup]).toEqual([before.db, before.backup]);
    expect(after.backend).not.toBe(before.backend);
    expect((await api("/auth/check", cookie)).json).toMatchObject({ authenticated: true });
    expect(await rows()).toBe(rowsBefore);
    const share = Math.max(1, (loadavg()[0] ?? 1) / cpus().length);
    expect(down, `down for ${down} ms, with ${share.toFixed(1)} processes for each processor`).toBeLessThan(
      DOWN_MS * share,
    );
    await stack.requireNoChange();
  });

  it("builds the image anew when its content is another one, and not because a file is newer", async () => {
    const before = await ids();
    await utimes(join(folder, "server.cjs"), new Date(), new Date());
    await stack.up();
    expect(await ids()).toEqual(before);
    await appendFile(join(folder, "Dockerfile"), "LABEL version=later\n");
    await stack.up();
    const after = await ids();
    expect([after.db, after.backup]).toEqual([before.db, before.backup]);
    expect(after.backend).not.toBe(before.backend);
    await stack.requireNoChange();
  });

  it("`npx budgie psql` is a real terminal: of its size, and Ctrl-C ends a statement and not psql", async () => {
    const { env } = stack.invocation();
    const { code, output } = await onTerminal(
      ["sh", "-c", `stty rows 33 cols 77; exec node scripts/budgie.mjs --stack ${stack.name} psql`],
      [
        { to: "=# ", type: "\\! stty size\n" },
        { to: "=# ", type: "DO $$ BEGIN RAISE NOTICE 'fast %', 'asleep'; PERFORM pg_sleep(600); END $$;\n" },
        { to: "fast asleep", type: "\x03" },
        { to: "canceling statement due to user request", type: "SELECT 'still ' || 'here';\n" },
        { to: "still here", type: "\\q\n" },
      ],
      { env: { ...process.env, ...env } },
    );
    expect(code, output).toBe(0);
    expect(output).toContain("33 77");
    expect(output).toContain("still here");
  });
});
