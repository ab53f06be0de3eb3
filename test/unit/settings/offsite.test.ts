import * as pulumi from "@pulumi/pulumi";
import ssh2 from "ssh2";
import { beforeAll, describe, expect, it } from "vitest";
import { SECRET_NAMES } from "../../../settings.ts";
import { problemsOf, settingsOf } from "../../support/stack/parsed-settings.ts";

const SECRETS = SECRET_NAMES.map(name => `budgie:${name}`);
const { private: KEY, public: HOST_KEY } = ssh2.utils.generateKeyPairSync("ed25519");
const S3 = {
  objectStore: "s3",
  bucket: "ledger",
  s3Endpoint: "https://s3.example.com",
  s3AccessKeyId: "operator",
  s3SecretAccessKey: "canary-secret",
};
const SSH = { offsiteSsh: "budgie@nas:/backups", offsiteSshKey: KEY, offsiteSshHostKey: HOST_KEY };

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
    call: () => ({}),
  });
});

const settings = (values: Record<string, string>, secrets?: string[]) => settingsOf(values, { secrets });
const problems = (values: Record<string, string>, secrets?: string[]) => problemsOf(values, { secrets });

const plain = (output: pulumi.Output<string> | undefined) =>
  new Promise<string>(resolve => void output?.apply(resolve));

describe("an object store", () => {
  it("that lacks what it needs is refused with all of it", () => {
    expect(problems({ objectStore: "aws" })).toBe(
      [
        "budgie:objectStore is aws, which needs budgie:bucket, and that is not set.",
        "  type:    npm run pulumi -- config set budgie:bucket example-budgie-backups",
      ].join("\n"),
    );
    expect(problems({ objectStore: "s3" })).toBe(
      [
        "budgie:objectStore is s3, which needs budgie:bucket, and that is not set.",
        "  type:    npm run pulumi -- config set budgie:bucket example-budgie-backups",
        "",
        "budgie:objectStore is s3, which needs budgie:s3Endpoint, and that is not set.",
        "  type:    npm run pulumi -- config set budgie:s3Endpoint https://s3.example.com",
        "",
        "budgie:objectStore is s3, which needs budgie:s3AccessKeyId, and that is not set.",
        "  type:    npm run pulumi -- config set --secret budgie:s3AccessKeyId",
        "",
        "budgie:objectStore is s3, which needs budgie:s3SecretAccessKey, and that is not set.",
        "  type:    npm run pulumi -- config set --secret budgie:s3SecretAccessKey",
      ].join("\n"),
    );
  });

  it.each([
    [{ objectStore: "aws", bucket: "ledger", s3AccessKeyId: "key" }, "s3AccessKeyId", "aws"],
    [{ objectStore: "aws", bucket: "ledger", objectStoreProfile: "r2" }, "objectStoreProfile", "aws"],
    [{ s3Endpoint: "https://s3.example.com" }, "s3Endpoint", "local"],
    [{ s3WriterSecretAccessKey: "canary-secret" }, "s3WriterSecretAccessKey", "local"],
    [{ objectStore: "none", bucket: "ledger" }, "bucket", "none"],
    [{ objectStore: "none", objectLockDays: "7" }, "objectLockDays", "none"],
  ])("%o is refused: part of it would do nothing", (values, name, kind) => {
    expect(problems(values)).toContain(
      [
        `budgie:${name} is set, and does nothing while budgie:objectStore is ${kind}.`,
        `  type:    npm run pulumi -- config rm budgie:${name}`,
      ].join("\n"),
    );
  });

  it.each([
    ["s3Endpoint", "s3.example.com"],
    ["s3Endpoint", "https://s3.example.com/bucket"],
    ["s3Endpoint", "https://key:secret@s3.example.com"],
    ["s3Endpoint", "https://s3.example.com?x=1"],
    ["s3Endpoint", "ftp://s3.example.com"],
    ["bucket", "Ledger"],
    ["bucket", "le"],
    ["bucket", "my.ledger"],
    ["bucket", "-ledger"],
    ["bucket", "ledger-"],
    ["bucket", "xn--ledger"],
    ["bucket", "l".repeat(64)],
    ["region", "Frankfurt"],
    ["objectStoreProfile", "ceph"],
    ["offsiteKeepDays", "0"],
    ["offsiteTransitionClass", "standard_ia"],
  ])("with the %s %j is refused", (name, value) => {
    expect(problems({ ...S3, [name]: value })).toContain(`budgie:${name} is ${JSON.stringify(value)}.`);
  });

  it("of each kind is accepted as it was set", () => {
    const lifecycle = { keepDays: 90, noncurrentDays: 30, transition: undefined, lockDays: 0 };
    expect(settings({ objectStore: "none" }).objectStore).toEqual({ kind: "none" });
    expect(settings({ objectStore: "aws", bucket: "ledger" }).objectStore).toEqual({
      kind: "aws",
      bucket: "ledger",
      region: "us-east-1",
      endpoint: undefined,
      pathStyle: false,
      lifecycle,
    });
    expect(settings({ ...S3, s3Endpoint: "http://nas:9000/" }).objectStore).toMatchObject({
      kind: "s3",
      endpoint: "http://nas:9000",
      pathStyle: true,
      profile: undefined,
      writer: undefined,
      lifecycle,
    });
  });

  it("gets its keys as secrets", async () => {
    const { objectStore } = settings({
      ...S3,
      s3WriterAccessKeyId: "w-key",
      s3WriterSecretAccessKey: "w-secret",
    });
    if (objectStore.kind !== "s3") throw new Error(objectStore.kind);
    const { operator, writer } = objectStore;
    for (const key of [
      operator.accessKeyId,
      operator.secretAccessKey,
      writer?.accessKeyId,
      writer?.secretAccessKey,
    ]) {
      expect(await pulumi.isSecret(key as pulumi.Output<string>)).toBe(true);
    }
    expect(await plain(writer?.secretAccessKey)).toBe("w-secret");
  });

  it("is refused with a key in plain text", () => {
    expect(problems(S3, ["budgie:s3AccessKeyId"])).toBe(
      [
        "budgie:s3SecretAccessKey is in plain text in Pulumi.dev.yaml. Consider it known to others.",
        "  type:    npm run pulumi -- config set --secret budgie:s3SecretAccessKey",
      ].join("\n"),
    );
  });

  it("is refused with a writer's key without its secret, and the reverse", () => {
    expect(problems({ ...S3, s3WriterAccessKeyId: "key" })).toBe(
      [
        "budgie:s3WriterAccessKeyId is set, but budgie:s3WriterSecretAccessKey, which it belongs to, is not.",
        "  type:    npm run pulumi -- config set --secret budgie:s3WriterSecretAccessKey",
      ].join("\n"),
    );
    expect(problems({ ...S3, s3WriterSecretAccessKey: "canary-secret" })).toContain(
      "budgie:s3WriterSecretAccessKey is set, but budgie:s3WriterAccessKeyId, which it belongs to, is not.",
    );
  });
});

describe("what becomes of a backup in the bucket", () => {
  const transition = { ...S3, offsiteTransitionClass: "STANDARD_IA", offsiteTransitionDays: "30" };

  it("is as it was set", () => {
    expect(settings({ ...transition, objectLockDays: "120" }).objectStore).toMatchObject({
      lifecycle: {
        keepDays: 90,
        noncurrentDays: 30,
        transition: { storageClass: "STANDARD_IA", days: 30 },
        lockDays: 120,
      },
    });
  });

  it("is refused with a class and no day, or a day and no class", () => {
    expect(problems({ ...transition, offsiteTransitionDays: "0" })).toBe(
      [
        "budgie:offsiteTransitionClass is set, but budgie:offsiteTransitionDays, which it belongs to, is not.",
        "  type:    npm run pulumi -- config set budgie:offsiteTransitionDays 30",
      ].join("\n"),
    );
    expect(problems({ ...transition, offsiteTransitionClass: "" })).toBe(
      [
        "budgie:offsiteTransitionDays is set, but budgie:offsiteTransitionClass, which it belongs to, is not.",
        "  type:    npm run pulumi -- config set budgie:offsiteTransitionClass STANDARD_IA",
      ].join("\n"),
    );
  });

  it("is refused where Amazon would refuse it, or where the backup is gone first", () => {
    expect(problems({ ...transition, offsiteTransitionDays: "29" })).toBe(
      [
        "budgie:offsiteTransitionDays is 29, but an object must be 30 days old to become STANDARD_IA.",
        "  type:    npm run pulumi -- config set budgie:offsiteTransitionDays 30",
      ].join("\n"),
    );
    expect(problems({ ...transition, offsiteTransitionDays: "90" })).toContain(
      "budgie:offsiteTransitionDays is 90, but a backup expires after 90 days (budgie:offsiteKeepDays).",
    );
    expect(
      problems({ ...transition, offsiteTransitionClass: "GLACIER_IR", offsiteTransitionDays: "1" }),
    ).toBe("");
  });

  it("is refused when the store cannot do it", () => {
    const r2 = { ...S3, s3Endpoint: "https://0123.r2.cloudflarestorage.com" };
    expect(problems({ ...r2, objectLockDays: "7" })).toBe(
      [
        "budgie:objectLockDays is 7, but Cloudflare R2 has no object lock.",
        "  type:    npm run pulumi -- config rm budgie:objectLockDays",
      ].join("\n"),
    );
    const glacier = { offsiteTransitionClass: "GLACIER", offsiteTransitionDays: "30" };
    expect(problems({ ...S3, ...glacier, objectStoreProfile: "minio" })).toBe(
      [
        "budgie:offsiteTransitionClass is GLACIER, which MinIO does not have.",
        "  type:    npm run pulumi -- config rm budgie:offsiteTransitionClass",
      ].join("\n"),
    );
    expect(problems({ ...r2, ...glacier, offsiteTransitionClass: "STANDARD_IA" })).toBe("");
  });

  it("is refused when the lock outlasts it", () => {
    expect(problems({ ...S3, objectLockDays: "121" })).toBe(
      [
        "budgie:objectLockDays is 121, but a backup is to be gone after 120 days " +
          "(budgie:offsiteKeepDays and budgie:offsiteNoncurrentDays): the lock would keep it longer.",
        "  type:    npm run pulumi -- config set budgie:objectLockDays 30",
      ].join("\n"),
    );
  });
});

describe("a machine reached over ssh", () => {
  it.each([
    ["budgie@nas.example.com:/volume1/budgie", "ssh://budgie@nas.example.com:22/volume1/budgie"],
    ["budgie@nas:/backups/", "ssh://budgie@nas:22/backups"],
    ["ssh://budgie@nas/backups", "ssh://budgie@nas:22/backups"],
    ["ssh://budgie@nas:2222/backups", "ssh://budgie@nas:2222/backups"],
    ["ssh://budgie@[fd00::1]:2222/backups", "ssh://budgie@[fd00::1]:2222/backups"],
  ])("%s is %s", (written, target) => {
    expect(settings({ ...SSH, offsiteSsh: written }).ssh?.target).toBe(target);
  });

  it.each([
    "nas:/backups",
    "budgie@nas",
    "budgie@nas:backups",
    "budgie@nas:22:/backups",
    "budgie@nas:/",
    "budgie@nas:/../etc",
  ])("%s is refused", written => {
    expect(problems({ ...SSH, offsiteSsh: written })).toBe(
      [
        `budgie:offsiteSsh is ${JSON.stringify(written)}.`,
        "  allowed: USER@HOST:/FOLDER or ssh://USER@HOST:PORT/FOLDER, or nothing",
        "  type:    npm run pulumi -- config set budgie:offsiteSsh budgie@nas.example.com:/volume1/budgie",
      ].join("\n"),
    );
  });

  it("needs its key and host key, and they need it", () => {
    expect(problems({ offsiteSsh: SSH.offsiteSsh })).toBe(
      [
        "budgie:offsiteSsh is set, but budgie:offsiteSshKey, which it belongs to, is not.",
        "  type:    npm run pulumi -- config set --secret budgie:offsiteSshKey < ~/.ssh/budgie_offsite",
        "",
        "budgie:offsiteSsh is set, but budgie:offsiteSshHostKey, which it belongs to, is not.",
        "  type:    npm run pulumi -- config set budgie:offsiteSshHostKey 'ssh-ed25519 AAAAC3Nza...'",
      ].join("\n"),
    );
    expect(problems({ offsiteSshHostKey: HOST_KEY })).toContain(
      "budgie:offsiteSsh, which it belongs to, is not.",
    );
  });

  it("is refused with a key that nobody is there to unlock, and never shows it", () => {
    const locked = ssh2.utils.generateKeyPairSync("ed25519", {
      passphrase: "p",
      cipher: "aes256-ctr",
      rounds: 1,
    });
    expect(problems({ ...SSH, offsiteSshKey: locked.private })).toBe(
      [
        "budgie:offsiteSshKey has a value that is not usable.",
        "  allowed: an OpenSSH private key without a passphrase, stored as a secret",
        "  type:    npm run pulumi -- config set --secret budgie:offsiteSshKey < ~/.ssh/budgie_offsite",
      ].join("\n"),
    );
  });

  it("gets its key as a secret file that ssh can read: with its last line's end", async () => {
    const { ssh } = settings({ ...SSH, offsiteSshKey: KEY.trimEnd() });
    expect(await pulumi.isSecret(ssh?.key as pulumi.Output<string>)).toBe(true);
    expect(await plain(ssh?.key)).toBe(`${KEY.trimEnd()}\n`);
  });
});

describe("the keys that copies are encrypted to", () => {
  const AGE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

  it("are age public keys, one or several", () => {
    expect(settings({}).backupRecipients).toEqual([]);
    expect(settings({ backupRecipients: AGE }).backupRecipients).toEqual([AGE]);
    expect(settings({ backupRecipients: `${AGE}, ${AGE}` }).backupRecipients).toEqual([AGE, AGE]);
  });

  it.each([AGE.replace("ql3", "qq3"), "age1", "ssh-ed25519 AAAA", `${AGE} and mine`])("are not %s", value => {
    expect(problems({ backupRecipients: value })).toMatch(
      /^budgie:backupRecipients is ".*"\.\n {2}allowed: age public keys \(age1/,
    );
  });

  it("are never shown when one is a private key", () => {
    const said = problems({ backupRecipients: "AGE-SECRET-KEY-1CANARY" });
    expect(said).toContain("budgie:backupRecipients has a value that is not usable.");
    expect(said).not.toContain("CANARY");
  });

  it("are refused where nothing leaves the machine, because nothing would be encrypted", () => {
    expect(problems({ objectStore: "none", backupRecipients: AGE })).toMatch(
      /^budgie:backupRecipients is set, and does nothing while budgie:objectStore is none/,
    );
    expect(
      problems({ objectStore: "none", backupRecipients: AGE, ...SSH }, [
        ...SECRETS,
        "budgie:backupRecipients",
      ]),
    ).toBe("");
  });
});
