import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deliver } from "../../../../agent/alert/deliver.ts";
import { beat } from "../../../../agent/alert/heartbeat.ts";
import { deliveryOf, type Message } from "../../../../agent/alert/message.ts";
import { judgeDeliveries, readAlertState } from "../../../../agent/alert/state.ts";
import { testAlerts } from "../../../../agent/alert/test-alerts.ts";
import { alertOn, decide, type Found, WRONG_FOR_MS } from "../../../../agent/alert/watch.ts";
import { readTold } from "../../../../agent/status/told.ts";
import { readSettings } from "../../../../shared/agent-environment.ts";
import type { AgentSettings } from "../../../../shared/agent-settings.ts";
import { parseAlertUrl } from "../../../../shared/alert-url.ts";
import { type StatusLine, statusLine, verdictOf } from "../../../../shared/status-lines.ts";
import { AGENT_ENVIRONMENT } from "../../../support/agent/environment.ts";

const TOKEN = "token-canary-0123456789";
const message: Message = {
  kind: "wrong",
  stack: "dev",
  sentence: "Something is wrong: the disk is full",
  problems: ["The disk is full."],
  at: "2026-11-22T12:00:00.000Z",
};

describe("an address says who takes the alert", () => {
  it.each([
    ["https://ntfy.sh/budgie", "ntfy"],
    ["ntfy+http://192.168.1.7:8080/budgie", "ntfy"],
    ["https://hooks.slack.com/services/T/B/x", "slack"],
    ["slack+https://mattermost.example.com/hooks/x", "slack"],
    ["https://discord.com/api/webhooks/1/x", "discord"],
    ["https://hc-ping.com/uuid", "healthchecks"],
    ["https://kuma.example.com/api/push/x", "uptime-kuma"],
    ["https://example.com/hook", "json"],
    ["smtps://me:p%40ss@mail.example.com/?from=a@example.com&to=b@example.com", "mail"],
  ])("%s: %s", (url, shape) => {
    expect(parseAlertUrl(url)?.shape).toBe(shape);
  });

  it.each([
    "",
    "example.com/hook",
    "ftp://example.com",
    "teams+https://example.com",
    "smtps://mail.example.com",
    "https://",
  ])("%j is none", url => expect(parseAlertUrl(url)).toBeNull());

  it("and what is shown of it is no secret", () => {
    for (const url of [
      `https://hooks.slack.com/services/${TOKEN}`,
      `smtps://me:${TOKEN}@mail.example.com/?to=b@example.com`,
    ])
      expect(parseAlertUrl(url)?.shown).not.toContain(TOKEN);
  });
});

it("each takes the message as it knows it", () => {
  const to = (url: string, kind: Message["kind"] = "wrong") => {
    const target = parseAlertUrl(url);
    return target && deliveryOf(target, { ...message, kind });
  };
  expect(JSON.parse(to("https://hooks.slack.com/x")?.body ?? "").text).toContain("The disk is full.");
  expect(JSON.parse(to("https://discord.com/api/webhooks/1/x")?.body ?? "").content).toContain("stack dev");
  expect(to("https://ntfy.sh/x")?.headers).toMatchObject({
    priority: "high",
    title: expect.stringContaining("dev"),
  });
  expect(to("https://hc-ping.com/uuid")?.url).toBe("https://hc-ping.com/uuid/fail");
  expect(to("https://hc-ping.com/uuid", "start")?.url).toBe("https://hc-ping.com/uuid/start");
  expect(to("https://hc-ping.com/uuid", "right")?.url).toBe("https://hc-ping.com/uuid");
  expect(to("https://k.example/api/push/x?status=up&msg=OK")?.url).toContain("status=down&msg=Something");
  expect(to("https://k.example/api/push/x", "start")).toBeNull();
  expect(JSON.parse(to("https://example.com/hook")?.body ?? "")).toMatchObject({
    kind: "wrong",
    stack: "dev",
  });
});

describe("who is called when", () => {
  const at = (seconds: number) => new Date(Date.UTC(2026, 10, 22, 12) + seconds * 1000).toISOString();
  const fine = statusLine("backup", { figure: "well" });
  const disk = statusLine("disk", { figure: "0B", problems: ["The disk is full."] });
  const copies = statusLine("copies", { figure: null });
  const undelivered = statusLine("alerts", { figure: "x", problems: ["not delivered"] });

  /** What is told at each look. */
  const told = (looks: [seconds: number, ...lines: StatusLine[]][]) => {
    let known = { told: [] as string[], wrongSince: null as string | null };
    return looks.map(([seconds, ...lines]) => {
      const { tell, next } = decide(known, { lines, at: at(seconds) });
      known = next;
      return tell;
    });
  };

  it.each([
    [
      "what is wrong for a moment calls nobody",
      [
        [0, disk],
        [60, fine],
      ],
      [null, null],
    ],
    [
      "what stays wrong calls once",
      [
        [0, disk],
        [160, disk],
        [300, disk],
        [9000, disk],
      ],
      [null, "wrong", null, null],
    ],
    [
      "what turns wrong besides calls again",
      [
        [0, disk],
        [160, disk],
        [300, disk, copies],
      ],
      [null, "wrong", "wrong"],
    ],
    [
      "what is right again is told, once",
      [
        [0, disk],
        [160, disk],
        [300, fine],
        [400, fine],
      ],
      [null, "wrong", "right", null],
    ],
    [
      "a line that comes and goes calls once",
      [
        [0, disk],
        [160, disk, copies],
        [300, disk],
        [400, disk, copies],
      ],
      [null, "wrong", null, null],
    ],
    [
      "what is not known is wrong",
      [
        [0, copies],
        [160, copies],
      ],
      [null, "wrong"],
    ],
    [
      "that nobody could be told calls nobody",
      [
        [0, undelivered],
        [160, undelivered],
      ],
      [null, null],
    ],
    [
      "a clock that was set back delays nothing",
      [
        [0, disk],
        [-9000, disk],
      ],
      [null, "wrong"],
    ],
  ] as [string, [number, ...StatusLine[]][], (string | null)[]][])("%s", (_, looks, expected) => {
    expect(told(looks)).toEqual(expected);
  });
});

describe("with a server that takes alerts", () => {
  let server: Server;
  let folder: string;
  let settings: AgentSettings;
  let answers: number[];
  let heard: { path: string; body: string }[];
  const warned: string[] = [];
  const report = {
    info: () => undefined,
    done: () => undefined,
    warn: (line: string) => void warned.push(line),
    progress: () => ({ at: () => undefined, end: () => undefined }),
  };

  beforeEach(async () => {
    [answers, heard] = [[], []];
    warned.length = 0;
    server = createServer(async (request, response) => {
      heard.push({ path: request.url ?? "", body: await text(request) });
      response.writeHead(answers.shift() ?? 200).end();
    }).listen(0);
    const { port } = server.address() as AddressInfo;
    folder = await mkdtemp(join(tmpdir(), "budgie-alerts-"));
    const file = join(folder, "alerts.json");
    const address = `http://127.0.0.1:${port}/${TOKEN}`;
    await writeFile(file, JSON.stringify({ heartbeat: `${address}/beat`, alerts: `json+${address}/hook` }));
    settings = readSettings({
      ...AGENT_ENVIRONMENT,
      BUDGIE_BACKUP_DIR: folder,
      BUDGIE_RECORDS_DIR: join(folder, "records"),
      BUDGIE_ALERTS_FILE: file,
    });
  });
  afterEach(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });

  const found = (seconds: number, wrong: boolean): Found => {
    const lines = [statusLine("disk", { figure: "0B", problems: wrong ? ["The disk is full."] : [] })];
    const at = new Date(Date.UTC(2026, 10, 22, 12) + seconds * 1000).toISOString();
    return { lines, verdict: verdictOf(lines), problems: wrong ? ["The disk is full."] : [], at };
  };

  it("a failure and the recovery are each told once", async () => {
    for (const [seconds, wrong] of [
      [0, true],
      [160, true],
      [220, true],
      [280, false],
      [340, false],
    ] as const)
      await alertOn(settings, found(seconds, wrong), report);
    expect(heard.map(({ body }) => JSON.parse(body).kind)).toEqual(["wrong", "right"]);
    expect(WRONG_FOR_MS).toBeLessThan(160_000);
  });

  it("a backup directory that is emptied meanwhile makes the agent repeat nothing", async () => {
    await writeFile(
      join(folder, ".alerts-dev.json"),
      JSON.stringify({ told: [], wrongSince: "2026-11-22T11:00:00Z" }),
    );
    await alertOn(settings, found(0, true), report);
    expect((await readdir(folder)).filter(name => name.startsWith("."))).toEqual([]);
    await alertOn(settings, found(60, true), report);
    await alertOn(settings, found(120, false), report);
    expect(heard.map(({ body }) => JSON.parse(body).kind)).toEqual(["wrong", "right"]);
  });

  it("what nobody took is told again at the next look, and meanwhile the status says so, without the address", async () => {
    answers = [404];
    await alertOn(settings, found(0, true), report);
    await alertOn(settings, found(160, true), report);
    const problems: string[] = [];
    const shown = await readTold(settings, problems);
    expect(problems.join()).toMatch(/An alert was not delivered to 127\.0\.0\.1 \(json\).*it answers 404/);
    await alertOn(settings, found(220, true), report);
    expect(heard).toHaveLength(2);
    expect(judgeDeliveries(await readAlertState(settings), ["127.0.0.1 (json)"])).toEqual([]);
    expect([shown, ...problems, ...warned].join()).not.toContain(TOKEN);
  });

  it("a server in trouble is asked again, one that refuses is not", async () => {
    const target = parseAlertUrl(`json+http://127.0.0.1:${(server.address() as AddressInfo).port}/${TOKEN}`);
    if (!target) throw new Error("no target");
    answers = [503, 429, 200];
    expect(await deliver(target, message, [1, 1])).toBeNull();
    answers = [403];
    expect(await deliver(target, message, [1, 1])).toBe("it answers 403");
    answers = [302];
    expect(await deliver(target, message, [1, 1]), "a redirect is not followed").toBe("it answers 302");
    expect(heard).toHaveLength(5);
    server.close();
    server.closeAllConnections();
    expect(await deliver(target, message, [1])).toBe("ECONNREFUSED");
  });

  it("a heartbeat tells start, success and failure by their own addresses", async () => {
    await beat(settings, "start", "begins", report);
    await beat(settings, "right", "whole", report);
    await beat(settings, "wrong", "failed", report);
    expect(heard.map(({ path }) => path)).toEqual([
      `/${TOKEN}/beat/start`,
      `/${TOKEN}/beat`,
      `/${TOKEN}/beat/fail`,
    ]);
  });

  it("`alert --test` reaches everybody, and fails when one does not take it", async () => {
    await testAlerts(settings, report);
    expect(heard.map(({ path }) => path)).toEqual([`/${TOKEN}/hook`, `/${TOKEN}/beat/log`]);
    answers = [200, 500];
    const failed = await testAlerts(settings, report).catch((error: Error) => error.message);
    expect(failed).toBe("Not delivered: heartbeat 127.0.0.1 (healthchecks): it answers 500.");
  });
});
