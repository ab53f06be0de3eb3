// `budgie:engineHost: ssh://…`: a real OpenSSH server in front of a real engine.
import { createHash, randomBytes } from "node:crypto";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { ConnectionLost, collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { sshClient, type TestSshClient } from "../support/servers/ssh-client.ts";
import { startSshd, type TestSshd } from "../support/servers/sshd.ts";
import { until } from "../support/until.ts";

const PREFIX = `ssh-${randomBytes(4).toString("hex")}`;
const PATH = process.env.PATH;

let postgres: TestPostgres;
let sshd: TestSshd;
let client: TestSshClient;
const host = (path = "") => `ssh://${sshd.user}@${sshd.host}:${sshd.port}${path}`;
const container = () => engineClient(host()).getContainer(postgres.container.id);

beforeAll(async () => {
  [postgres, sshd] = await Promise.all([
    startPostgres({
      labels: { "budgie.stack": PREFIX, "budgie.prefix": PREFIX, "budgie.role": "database" },
    }),
    startSshd({ shell: true }),
  ]);
  client = await sshClient(sshd);
  process.env.PATH = client.pathBefore(PATH);
});
beforeEach(() => client.trust(sshd.hostKey));
afterAll(async () => {
  process.env.PATH = PATH;
  await Promise.all([postgres?.stop(), sshd?.stop(), client?.stop()]);
});

describe("an engine on another machine, by ssh", () => {
  it("is found, and what kind it is", async () => {
    expect(await findEngine(host())).toEqual({ host: host(), kind: "docker", reachable: true });
    expect(await findEngine(host("/var/run/docker.sock"))).toMatchObject({ reachable: true });
  });

  it("runs a command with much to read and much to say, byte for byte", async () => {
    const bytes = randomBytes(8 << 20);
    const expected = createHash("sha256").update(bytes).digest("hex");
    const { code, stdout } = await collectFromContainer(
      container(),
      ["sh", "-c", "tee /tmp/same | sha256sum; base64 /tmp/same"],
      bytes,
    );
    const [sum = "", ...encoded] = stdout.split("\n");
    expect([code, sum.split(" ")[0]]).toEqual([0, expected]);
    const same = createHash("sha256")
      .update(Buffer.from(encoded.join(""), "base64"))
      .digest("hex");
    expect(same).toBe(expected);
  });

  it("answers many questions at once, and one after the other", async () => {
    for (const _round of [1, 2, 3]) {
      const found = await Promise.all(Array.from({ length: 5 }, () => container().inspect()));
      expect(new Set(found.map(({ Id }) => Id))).toEqual(new Set([postgres.container.id]));
    }
  });

  it.each([
    ["is not known", () => client.forget(), /Host key verification failed/],
    ["is another one than is known", () => client.trust(sshd.otherHostKey), /Host key verification failed/],
  ])("is refused when its host key %s", async (_, change, why) => {
    await change();
    const engine = await findEngine(host());
    expect(engine.reachable).toBe(false);
    expect(engine.problem).toMatch(why);
  });

  it.each([
    ["nobody may log in as that user", () => host().replace(sshd.user, "nobody"), /Permission denied/],
    ["nothing listens there", () => host().replace(`:${sshd.port}`, ":1"), /Connection refused/],
    ["there is no engine", () => host("/nowhere.sock"), /nowhere\.sock/],
  ])("says why when %s", async (_, at, why) => {
    const engine = await findEngine(at());
    expect(engine.reachable).toBe(false);
    expect(engine.problem).toMatch(why);
  });

  it("a login that is cut in the midst is a connection that is lost, and not an end", async () => {
    const running = collectFromContainer(container(), ["sh", "-c", "echo begun > /tmp/begun; sleep 600"]);
    const lost = expect(running).rejects.toThrow(ConnectionLost);
    await until(
      "the command's begin",
      () => collectFromContainer(postgres.container, ["cat", "/tmp/begun"]),
      ({ code }) => code === 0,
    );
    await sshd.cutLogins();
    await lost;
  });

  it("serves `npx budgie`, which ends as soon as it is done", async () => {
    const { all, exitCode } = await execa(
      "node",
      ["scripts/budgie.mjs", "--stack", PREFIX, "psql", "--", "-XAtc", "SELECT 41 + 1"],
      {
        all: true,
        reject: false,
        stdin: "ignore",
        env: { DOCKER_HOST: host() },
        timeout: 60_000,
      },
    );
    expect([exitCode, all]).toEqual([EXIT.done, "42"]);
  });
});
