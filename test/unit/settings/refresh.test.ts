import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { problemsOf, settingsOf } from "../../support/stack/parsed-settings.ts";

const { private: SSH_KEY, public: SSH_HOST_KEY } = ssh2.utils.generateKeyPairSync("ed25519");
const KEYS = { refreshAccessKeyId: "reader", refreshSecretAccessKey: "canary-secret" };

let folder: string;
let mask: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "budgie-mask-"));
  mask = join(folder, "mask.sql");
  writeFileSync(mask, "DELETE FROM sessions;\n");
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
    call: () => ({}),
  });
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Of the stack staging, which may have its backups on this machine alone. */
const ALONE = { backupsOnThisMachineOnly: "true" };
const settings = (values: Record<string, string>, stack = "staging") =>
  settingsOf({ ...ALONE, ...values }, { stack });
const problems = (values: Record<string, string>, stack = "staging") =>
  problemsOf({ ...ALONE, ...values }, { stack });

const from = (more: Record<string, string> = {}) => ({
  refreshFrom: "prod",
  refreshSource: "../prod/backups",
  refreshMask: mask,
  ...more,
});

describe("the stack whose data this one takes over", () => {
  it("is none unless it is named", () => {
    expect(settings({}).refresh).toBeUndefined();
  });

  it("has a folder or a bucket, a mask, and perhaps a schedule", () => {
    expect(settings(from()).refresh).toMatchObject({
      stack: "prod",
      place: { kind: "directory", path: "../prod/backups" },
      schedule: undefined,
      mask: { shown: mask, content: "DELETE FROM sessions;\n" },
      reader: undefined,
    });
    const bucket = from({ refreshSource: "s3://prod-backups", refreshSchedule: "30 5 * * 1", ...KEYS });
    expect(settings(bucket).refresh).toMatchObject({
      place: { kind: "s3", bucket: "prod-backups" },
      schedule: "30 5 * * 1",
      reader: { accessKeyId: expect.anything() },
    });
  });

  it("is refused with all that is missing at once", () => {
    expect(problems({ refreshFrom: "prod" })).toBe(
      [
        "budgie:refreshFrom is set, which needs budgie:refreshSource, and that is not set.",
        "  type:    npm run pulumi -- config set budgie:refreshSource ../prod/backups",
        "",
        "budgie:refreshFrom is set, which needs budgie:refreshMask, and that is not set.",
        "  type:    npm run pulumi -- config set budgie:refreshMask ./mask.sql",
      ].join("\n"),
    );
  });

  it.each(["prod", "eu-prod", "production"])("comes into no stack of production, as %s", stack => {
    expect(problems(from({ refreshFrom: "live" }), stack)).toBe(
      `budgie:refreshFrom is set, and ${stack} is a stack of production by its name: the data of live would take the place of its own.\n` +
        "  type:    npm run pulumi -- config rm budgie:refreshFrom",
    );
  });

  it("is not the stack itself", () => {
    expect(problems(from({ refreshFrom: "staging" }))).toContain(
      "budgie:refreshFrom is staging, and that is this stack itself.",
    );
  });

  it.each([
    [
      { refreshSchedule: "30 5 * * 1" },
      "budgie:refreshSchedule is set, but budgie:refreshFrom, which it belongs to, is not.",
    ],
    [{ refreshFrom: "a stack" }, 'budgie:refreshFrom is "a stack".'],
    [{ refreshFrom: "prod", refreshSource: "ssh://nas/b" }, 'budgie:refreshSource is "ssh://nas/b".'],
    [{ refreshFrom: "prod", refreshSchedule: "weekly" }, 'budgie:refreshSchedule is "weekly".'],
  ])("is refused with %j", (values, says) => {
    expect(problems(values)).toContain(says);
  });

  it("wants keys for a bucket, and none for a folder", () => {
    const bucket = problems(from({ refreshSource: "s3://prod-backups", refreshAccessKeyId: "reader" }));
    expect(bucket).toContain("is a bucket, which needs budgie:refreshSecretAccessKey, and that is not set.");
    expect(problems(from(KEYS))).toContain(
      "budgie:refreshAccessKeyId is set, and does nothing while budgie:refreshSource is a folder.",
    );
    expect(problems(from(KEYS))).not.toContain("canary");
    const identity = { refreshIdentity: "# created: today\nAGE-SECRET-KEY-1QQQ\n" };
    expect(problems(from(identity))).toContain("budgie:refreshIdentity is set, and does nothing");
    expect(problems(from({ refreshSource: "s3://prod-backups", ...KEYS, ...identity }))).toBe("");
  });

  it("wants a key and the server's own for a folder over ssh, and no others", () => {
    const over = (more: Record<string, string>) =>
      from({ refreshSource: "ssh://budgie@nas.example.com/volume1/prod", ...more });
    const ssh = { refreshSshKey: SSH_KEY, refreshSshHostKey: SSH_HOST_KEY };
    expect(settings(over(ssh)).refresh).toMatchObject({
      place: { kind: "ssh", host: "nas.example.com", path: "/volume1/prod" },
      ssh: { hostKey: SSH_HOST_KEY },
    });
    expect(problems(over({ refreshSshKey: SSH_KEY }))).toContain(
      "is a folder over ssh, which needs budgie:refreshSshHostKey, and that is not set.",
    );
    expect(problems(over({ ...ssh, ...KEYS }))).toContain(
      "budgie:refreshAccessKeyId is set, and does nothing",
    );
    expect(problems(from(ssh))).toContain("budgie:refreshSshKey is set, and does nothing");
  });

  it("wants a mask that is there and holds something", () => {
    expect(problems(from({ refreshMask: join(folder, "none.sql") }))).toContain("cannot be read (ENOENT).");
    expect(problems(from({ refreshMask: folder }))).toContain("cannot be read (EISDIR).");
    const empty = join(folder, "empty.sql");
    writeFileSync(empty, "\n");
    expect(problems(from({ refreshMask: empty }))).toContain("and that file is empty.");
  });
});
