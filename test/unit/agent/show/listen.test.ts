import { type IncomingHttpHeaders, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Board } from "../../../../agent/show/board.ts";
import { isOwnHost, listen } from "../../../../agent/show/listen.ts";
import { statusLine, verdictOf } from "../../../../shared/status-lines.ts";
import { status } from "../../../support/status/status.ts";

let board: Board;
let server: Server;

beforeEach(async () => {
  board = { seen: null };
  server = await listen(0, board, null);
});
afterEach(() => void server.close());

interface Answer {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

const ask = (path: string, options: { method?: string; host?: string } = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const headers = { host: options.host ?? `localhost:${port}` };
    request({ host: "127.0.0.1", port, path, method: options.method ?? "GET", headers }, response => {
      text(response).then(
        body => resolve({ status: response.statusCode, headers: response.headers, body }),
        reject,
      );
    })
      .on("error", reject)
      .end();
  });

describe("/healthz", () => {
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const bad = [statusLine("disk", { figure: "1M", problems: ["The disk is nearly full."] })];

  it.each([
    ["everything is as it should be", { seen: { status: status(), backups: [] } }, 200],
    [
      "something is wrong",
      { seen: { status: status({ lines: bad, verdict: verdictOf(bad) }), backups: [] } },
      503,
    ],
    [
      "nothing was looked at for minutes",
      { seen: { status: status({ at: minutesAgo(5) }), backups: [] } },
      503,
    ],
    ["the clock was set back", { seen: { status: status({ at: minutesAgo(-60) }), backups: [] } }, 503],
    ["the agent has just started", { seen: null }, 503],
  ])("when %s", async (_, { seen }, code) => {
    board.seen = seen;
    const answer = await ask("/healthz");
    expect(answer.status, answer.body).toBe(code);
    expect(JSON.parse(answer.body).fine).toBe(code === 200);
  });
});

it("/metrics is answered in the format of Prometheus", async () => {
  board.seen = { status: status(), backups: [] };
  const { status: code, headers, body } = await ask("/metrics");
  expect([code, headers["content-type"]]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  expect(body).toContain("budgie_fine 1");
});

describe("whoever asks", () => {
  it.each([
    "localhost:8617",
    "127.0.0.1:8617",
    "[::1]:8617",
    "192.168.1.7",
    "budgie-backup:8617",
    "budgie.localhost",
  ])("by %s is answered", host => expect(isOwnHost(host)).toBe(true));

  it.each([
    undefined,
    "",
    "evil.example.com",
    "localhost.evil.example",
    "127.0.0.1.evil.example:8617",
    "localhost@evil.example",
    "evil.example#localhost",
    "evil.example\\localhost",
  ])("by %s is not", async host => {
    expect(isOwnHost(host)).toBe(false);
  });

  it("by another name, as after DNS rebinding, sees nothing", async () => {
    board.seen = { status: status(), backups: [] };
    for (const path of ["/", "/metrics", "/healthz"]) {
      const { status: code, body } = await ask(path, { host: "evil.example.com" });
      expect(code).toBe(421);
      expect(body).not.toContain("budgie_");
    }
  });

  it("can change nothing, and finds nothing but what is shown", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
      expect((await ask("/metrics", { method })).status).toBe(405);
    for (const path of ["/constructor", "/../etc/passwd", "/metrics/", "//metrics"])
      expect((await ask(path)).status, path).toBe(404);
    expect((await ask("/healthz", { method: "HEAD" })).body).toBe("");
  });
});
