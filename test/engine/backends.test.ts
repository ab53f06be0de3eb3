// Several backends in a Docker swarm: an update that leaves nobody without an answer, and every command that stops and starts the API.
import { appendFile, copyFile, mkdtemp, rm } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { httpStatus } from "../../shared/http-status.ts";
import { writeBackend } from "../support/backend.ts";
import { startSwarm, type TestSwarm } from "../support/servers/swarm.ts";
import { describeSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const BACKENDS = 3;
const SESSIONS = 24;
/** Browsers that keep their connection, and callers that make a new one for each request. */
const CALLERS = { keep: 8, anew: 4 };
const PAUSE_MS = 40;

interface Answer {
  status: number;
  body: string;
  cookie: string;
}

interface Tally {
  held: number;
  failed: string[];
}

describeSlowly("three backends in a swarm", () => {
  let swarm: TestSwarm;
  let stack: TestStack;
  let folder: string;
  let port: number;
  let cookies: string[];

  const once = new Agent({ keepAlive: false });

  const ask = (method: string, path: string, { cookie = "", body = "", agent = once } = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const headers = {
        ...(cookie ? { cookie } : {}),
        ...(body ? { "content-type": "application/json", "content-length": Buffer.byteLength(body) } : {}),
      };
      const asked = request(`${stack.url}${path}`, { method, agent, headers, timeout: 20_000 }, answer => {
        let text = "";
        answer.setEncoding("utf8").on("data", piece => {
          text += piece;
        });
        answer.on("error", reject);
        answer.on("end", () => {
          const set = answer.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
          resolve({ status: answer.statusCode ?? 0, body: text, cookie: set });
        });
      });
      asked.on("timeout", () => asked.destroy(new Error("no answer within 20 s")));
      asked.on("error", reject);
      asked.end(body);
    });

  const signUp = async (at: number) => {
    const who = {
      email: `user${at}@example.com`,
      first_name: "Test",
      last_name: "User",
      password: "Password123",
    };
    const { status, cookie } = await ask("POST", "/api/auth/register", { body: JSON.stringify(who) });
    expect(status).toBe(201);
    return cookie;
  };
  const signedIn = async (cookie: string) =>
    (JSON.parse((await ask("GET", "/api/auth/check", { cookie })).body) as { authenticated: boolean })
      .authenticated;

  /** Requests all the time, reads and changes, while `work` runs. */
  async function steadily(work: () => Promise<unknown>): Promise<Tally> {
    const tally: Tally = { held: 0, failed: [] };
    let ended = false;
    const caller = async (at: number, keep: boolean) => {
      const agent = new Agent({ keepAlive: keep, maxSockets: 1 });
      for (let turn = 0; !ended; turn++) {
        const cookie = cookies[(at + turn) % cookies.length] ?? "";
        const change = turn % 3 === 0;
        const asked = change
          ? ask("POST", "/api/ledgers", { cookie, agent, body: JSON.stringify({ name: `${at}-${turn}` }) })
          : ask("GET", "/api/auth/me", { cookie, agent });
        try {
          const { status } = await asked;
          if (status === (change ? 201 : 200)) tally.held += 1;
          else tally.failed.push(`${change ? "POST" : "GET"} ${status}`);
        } catch (error) {
          tally.failed.push(`${keep ? "kept" : "new"} connection: ${(error as Error).message}`);
        }
        await delay(PAUSE_MS);
      }
      agent.destroy();
    };
    const calling = [
      ...Array.from({ length: CALLERS.keep }, (_, at) => caller(at, true)),
      ...Array.from({ length: CALLERS.anew }, (_, at) => caller(100 + at, false)),
    ];
    await work().finally(() => {
      ended = true;
    });
    await Promise.all(calling);
    return tally;
  }

  /** The containers of backends that run. */
  const backends = async () => {
    const listed = await swarm.docker.listContainers({
      filters: { label: [`com.docker.swarm.service.name=${stack.prefix}-backend`] },
    });
    return listed.map(({ Id: id }) => id).sort();
  };
  const serving = async () => {
    const tasks = await swarm.docker.listTasks({
      filters: { service: [`${stack.prefix}-backend`], "desired-state": ["running"] },
    });
    return tasks.filter(({ Status: { State: state } }) => state === "running").length;
  };
  const database = () => stack.containerId("db");
  const budgie = async (...args: string[]) => {
    const result = await stack.budgie(args);
    return `${result.code}\n${result.all}`;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "budgie-api-"));
    await writeBackend(join(folder, "server.cjs"));
    await copyFile("backend/Dockerfile", join(folder, "Dockerfile"));
    swarm = await startSwarm();
    stack = await createStack(
      { backendContext: folder, backends: String(BACKENDS), httpAddress: "0.0.0.0" },
      { DOCKER_HOST: swarm.host },
    );
    port = Number(new URL(stack.url).port);
    swarm.publishService(port);
    await stack.up();
    cookies = [];
    for (let at = 0; at < SESSIONS; at++) cookies.push(await signUp(at));
  });

  afterAll(async () => {
    await stack?.remove();
    await swarm?.stop();
    if (folder) await rm(folder, { recursive: true });
  });

  it("all run, and the second preview shows no change", async () => {
    expect(await serving()).toBe(BACKENDS);
    await stack.requireNoChange();
  });

  it("leave no request unanswered and nobody signed out while each is replaced by a new version", async () => {
    const [before, was] = [await backends(), await database()];
    await appendFile(join(folder, "server.cjs"), "\n// a later version\n");
    const { held, failed } = await steadily(() => stack.up());
    const valid = (await Promise.all(cookies.map(signedIn))).filter(Boolean).length;
    process.stdout.write(
      `A rolling update of ${BACKENDS} backends, routed by the ${swarm.routedBy}: ${valid} of ${SESSIONS} sessions valid, ${held} requests answered, ${failed.length} failed\n`,
    );
    expect(failed).toEqual([]);
    expect(held).toBeGreaterThan(100);
    expect(valid).toBe(SESSIONS);
    const after = await backends();
    expect(after.filter(id => before.includes(id))).toEqual([]);
    expect(after).toHaveLength(BACKENDS);
    expect(await database()).toBe(was);
    await stack.requireNoChange();
  });

  it("serve on when one is killed, and are three again by themselves", async () => {
    const [killed = ""] = await backends();
    await swarm.docker.getContainer(killed).kill({ signal: "SIGKILL" });
    // A moment passes until the swarm has noticed, and sends it nothing more.
    await until("the killed one is missed", serving, count => count < BACKENDS);
    const answers = () =>
      Promise.all(Array.from({ length: 30 }, () => httpStatus(`${stack.url}/health`).catch(() => 0)));
    await until("the others serve", answers, statuses => statuses.every(status => status === 200), {
      withinMs: 20_000,
    });
    expect((await Promise.all(cookies.map(signedIn))).every(Boolean)).toBe(true);
    await until("three run again", serving, count => count === BACKENDS, { withinMs: 120_000 });
  });

  it("go back to the version before, with no request unanswered, when the new one does not come up", async () => {
    const before = await backends();
    await copyFile(join(folder, "server.cjs"), join(folder, "fit.cjs"));
    await appendFile(join(folder, "server.cjs"), "\nprocess.stderr.write('unfit\\n'); process.exit(1);\n");
    let said = "";
    const { held, failed } = await steadily(async () => {
      const { code, all } = await stack.pulumi("up", "--yes", "--skip-preview");
      said = all;
      expect(code, all).not.toBe(0);
    });
    process.stdout.write(`An update that fails: ${held} requests answered, ${failed.length} failed\n`);
    expect(said).toMatch(/The backends do not (start\. Those from before serve on|stay up)/);
    expect(failed).toEqual([]);
    const after = await backends();
    expect(before.every(id => after.includes(id))).toBe(true);
    await copyFile(join(folder, "fit.cjs"), join(folder, "server.cjs"));
    await rm(join(folder, "fit.cjs"));
    const { code, all } = await stack.pulumi("up", "--yes", "--skip-preview", "--refresh");
    expect(code, all).toBe(0);
    await stack.requireNoChange();
  });

  it("are one thing to `npx budgie`, which shows, stops, starts and restarts them", async () => {
    expect(await budgie("status")).toContain(`${stack.prefix}-backend 3 of 3 running`);
    const logs = await budgie("logs", "backend");
    for (const one of [1, 2, 3]) expect(logs).toContain(`==> ${stack.prefix}-backend.${one} <==`);
    expect(await budgie("stop", "backend")).toMatch(/^0\n/);
    expect(await backends()).toEqual([]);
    expect(await budgie("status")).toContain(`${stack.prefix}-backend stopped`);
    expect(await budgie("start", "backend")).toMatch(/^0\n/);
    expect(await serving()).toBe(BACKENDS);
    expect(await budgie("restart", "backend")).toMatch(/^0\n/);
    expect(await serving()).toBe(BACKENDS);
    expect((await Promise.all(cookies.map(signedIn))).every(Boolean)).toBe(true);
    await stack.requireNoChange();
  });

  it("are started by an `up` after they were stopped", async () => {
    expect(await budgie("stop", "backend")).toMatch(/^0\n/);
    await stack.up();
    expect(await serving()).toBe(BACKENDS);
    await stack.requireNoChange();
  });

  it("are one more, and then three again, while nobody is left without an answer", async () => {
    for (const count of [BACKENDS + 1, BACKENDS]) {
      await stack.set("backends", String(count));
      const was = await database();
      const { held, failed } = await steadily(() => stack.up());
      process.stdout.write(`${count} backends: ${held} requests answered, ${failed.length} failed\n`);
      expect(failed).toEqual([]);
      expect(await serving()).toBe(count);
      expect(await database()).toBe(was);
      await stack.requireNoChange();
    }
  });

  it("serve what a restore brought back, with everybody who was signed in then, and go back by an undo", async () => {
    const made = async () => Number(await stack.sql("SELECT count(*) FROM ledgers"));
    const before = await made();
    expect(await budgie("backup")).toMatch(/^0\n/);
    const body = JSON.stringify({ name: "after the backup" });
    expect((await ask("POST", "/api/ledgers", { cookie: cookies[0] ?? "", body })).status).toBe(201);
    expect(await budgie("restore", "latest", "--yes")).toMatch(/^0\n/);
    expect(await made()).toBe(before);
    expect((await Promise.all(cookies.map(signedIn))).every(Boolean)).toBe(true);
    expect((await ask("POST", "/api/ledgers", { cookie: cookies[0] ?? "", body })).status).toBe(201);
    expect(await budgie("restore", "--undo", "--yes")).toMatch(/^0\n/);
    expect(await made()).toBe(before + 1);
    expect((await Promise.all(cookies.map(signedIn))).every(Boolean)).toBe(true);
    await stack.requireNoChange();
  });

  it("come up with their database after the engine ended, and after the power went", async () => {
    for (const end of [swarm.shutDown, swarm.powerOff]) {
      await end();
      await swarm.start();
      await until(
        "three run again",
        () => serving().catch(() => 0),
        count => count === BACKENDS,
        {
          withinMs: 240_000,
          everyMs: 1000,
        },
      );
      const answers = async () => (await ask("GET", "/health").catch(() => undefined))?.status;
      await until("they serve", answers, status => status === 200, { withinMs: 120_000, everyMs: 1000 });
      expect((await Promise.all(cookies.map(signedIn))).every(Boolean)).toBe(true);
      await stack.requireNoChange();
    }
  });

  it("are made again by an `up` after one that was killed before it could write down what it had made", async () => {
    const { stdout } = await stack.pulumi("stack", "--show-urns");
    const urns =
      stdout.match(/urn:pulumi:\S+(backend-service|backend-db-password|backends-overlay)\b/g) ?? [];
    expect(urns).toHaveLength(3);
    for (const urn of urns) {
      const { code, all } = await stack.pulumi("state", "delete", urn, "--yes", "--target-dependents");
      if (!/No such resource|no such resource/.test(all)) expect(code, all).toBe(0);
    }
    const was = await database();
    await stack.up();
    expect(await serving()).toBe(BACKENDS);
    expect(await database()).toBe(was);
    expect((await Promise.all(cookies.map(signedIn))).every(Boolean)).toBe(true);
    await stack.requireNoChange();
  });

  it("become one, and the database is none the wiser", async () => {
    const was = await database();
    await stack.set("backends", "1");
    swarm.closeService();
    await swarm.publish(port);
    await stack.up();
    expect(await database()).toBe(was);
    expect(await swarm.docker.listServices()).toEqual([]);
    expect((await Promise.all(cookies.map(signedIn))).every(Boolean)).toBe(true);
    await stack.requireNoChange();
  });
});
