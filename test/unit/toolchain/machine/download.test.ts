import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { download, downloadText, retryAfter, SiteFailure } from "../../../../toolchain/machine/download.ts";
import {
  type Answer,
  half,
  halfOfUnknown,
  hangsUp,
  type ScriptedSite,
  scriptedSite,
  sha256,
  slowly,
  standsStill,
  status,
  whole,
} from "../../../support/faults/download-site.ts";

vi.mock("../../../../toolchain/machine/patience.ts", () => ({
  TRIES: 3,
  PAUSES_MS: [10, 20],
  LONGEST_PAUSE_MS: 2_000,
  SILENCE_MS: 300,
}));

const CONTENT = randomBytes(200_000);
let folder: string;
let file: string;
let sites: ScriptedSite[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-test-download-"));
  file = join(folder, "tool.tar.gz");
  sites = [];
});
afterEach(async () => {
  await Promise.all(sites.map(site => site.stop()));
  await rm(folder, { recursive: true });
});

async function site(...answers: [Answer, ...Answer[]]): Promise<ScriptedSite> {
  const found = await scriptedSite(...answers);
  sites.push(found);
  return found;
}

/** What it ends with; nothing may be left of it. */
async function failureOf(at: ScriptedSite, checksum?: string): Promise<SiteFailure> {
  const failure = await download(`${at.origin}/a/tool.tar.gz`, file, checksum).catch(
    (error: unknown) => error,
  );
  expect(await readdir(folder)).toEqual([]);
  expect(failure).toBeInstanceOf(SiteFailure);
  return failure as SiteFailure;
}

describe("a download that ends well", () => {
  it.each<[string, [Answer, ...Answer[]], number]>([
    ["at once", [whole(CONTENT)], 1],
    ["slowly, for longer than a site may be silent", [slowly(CONTENT, 10, 60)], 1],
    ["after the site had a fault, twice", [status(500), status(502), whole(CONTENT)], 3],
    ["after it was cut half-way", [half(CONTENT), whole(CONTENT)], 2],
    ["after it was cut half-way, of an unknown length", [halfOfUnknown(CONTENT), whole(CONTENT)], 2],
    ["after it stood still half-way", [standsStill(CONTENT), whole(CONTENT)], 2],
    ["after it was cut before the answer", [hangsUp, whole(CONTENT)], 2],
    ["after something else had come", [whole("an error page"), whole(CONTENT)], 2],
    ["after the limit, when it is short", [status(429, { "retry-after": "1" }), whole(CONTENT)], 2],
    ["after a pause, when it is short", [status(503, { "retry-after": "1" }), whole(CONTENT)], 2],
  ])("comes whole %s", async (_, answers, asked) => {
    const at = await site(...answers);
    // What an earlier run left when it was killed.
    await writeFile(`${file}.unfinished`, randomBytes(900_000));
    await download(`${at.origin}/a/tool.tar.gz`, file, sha256(CONTENT));
    expect(CONTENT.equals(await readFile(file))).toBe(true);
    expect(await readdir(folder)).toEqual(["tool.tar.gz"]);
    expect(at.asked).toBe(asked);
  });

  it("follows the site to another one", async () => {
    const other = await site(whole(CONTENT));
    const at = await site(status(302, { location: `${other.origin}/elsewhere` }));
    await download(`${at.origin}/a/tool.tar.gz`, file);
    expect(CONTENT.equals(await readFile(file))).toBe(true);
  });
});

describe("a download that fails says the true cause, and leaves nothing", () => {
  it.each<[string, Answer, SiteFailure["fault"], RegExp, number]>([
    ["a missing file", status(404), "missing", /^127\.0\.0\.1:\d+ has no tool\.tar\.gz \(404\)$/, 1],
    ["a file that is gone", status(410), "missing", /has no tool\.tar\.gz \(410\)$/, 1],
    ["a refusal", status(403), "refused", /refuses tool\.tar\.gz \(403\)$/, 1],
    [
      "a limit that lasts",
      status(429, { "retry-after": "3600" }),
      "limited",
      /limits how often it is asked from here \(429\), until \d\d:\d\d UTC \(in 60 minutes\)$/,
      1,
    ],
    [
      "a limit that says no time",
      status(429),
      "limited",
      /limits how often it is asked from here \(429\)$/,
      3,
    ],
    ["a fault", status(500), "faulty", /has a fault of its own \(500\)$/, 3],
    [
      "a fault that lasts",
      status(503, { "retry-after": "120" }),
      "faulty",
      /\(503\); it expects to be well at \d\d:\d\d UTC \(in 2 minutes\)$/,
      1,
    ],
    ["a cut", half(CONTENT), "not whole", /broke off tool\.tar\.gz after 0\.1 MB of 0\.2 MB \(/, 3],
    ["a cut of an unknown length", halfOfUnknown(CONTENT), "not whole", /broke off .* after 0\.1 MB \(/, 3],
    ["a standstill", standsStill(CONTENT), "not whole", /\(nothing more came for 0\.3 s\)$/, 3],
    ["no answer in time", () => {}, "out of reach", /does not answer \(no answer in time\)$/, 3],
    ["something else", whole("x"), "not whole", /with another checksum \([0-9a-f]{64}\) than the one/, 3],
  ])("%s", async (_, answer, fault, says, asked) => {
    const at = await site(answer);
    const failure = await failureOf(at, sha256(CONTENT));
    expect(failure.message).toMatch(says);
    expect([failure.fault, at.asked]).toEqual([fault, asked]);
  });

  it("nobody there, told at once", async () => {
    const at = await site(whole(CONTENT));
    await at.stop();
    sites = [];
    const failure = await failureOf(at);
    expect([failure.fault, failure.message]).toEqual([
      "out of reach",
      expect.stringContaining("ECONNREFUSED"),
    ]);
  });

  it("a full disk, which is no fault of the site's", async () => {
    const at = await site(whole(CONTENT));
    await symlink("/dev/full", `${file}.unfinished`);
    await expect(download(`${at.origin}/a/tool.tar.gz`, file)).rejects.toThrow(
      `There is no space left for tool.tar.gz.unfinished (ENOSPC). Make room in ${folder}`,
    );
    expect(at.asked).toBe(1);
    expect(await readdir(folder)).toEqual([]);
  });
});

it("a small file is read whole, or not at all", async () => {
  const at = await site(half(CONTENT), whole("abc  tool.tar.gz\n"));
  expect(await downloadText(`${at.origin}/checksums.txt`)).toBe("abc  tool.tar.gz\n");
});

it.each([
  ["120", 120_000],
  ["0", 0],
  ["Thu, 26 Nov 2026 12:01:00 GMT", 60_000],
  ["Thu, 26 Nov 2026 11:00:00 GMT", 0],
  ["soon", undefined],
  ["", undefined],
  [null, undefined],
])("Retry-After %s is a pause of %s ms", (header, pause) => {
  expect(retryAfter(header, Date.parse("2026-11-26T12:00:00Z"))).toBe(pause);
});
