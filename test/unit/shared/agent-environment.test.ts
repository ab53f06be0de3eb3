import { describe, expect, it } from "vitest";
import { agentEnvironment, readSettings, type ToldSettings } from "../../../shared/agent-environment.ts";
import { AGENT_ENVIRONMENT as BASE } from "../../support/agent/environment.ts";

const OFFSITE = {
  BUDGIE_OFFSITE: "s3",
  BUDGIE_S3_BUCKET: "household",
  BUDGIE_S3_PREFIX: "dev/",
  BUDGIE_S3_REGION: "us-east-1",
  BUDGIE_S3_ENDPOINT: "http://store:9000",
  BUDGIE_S3_PATH_STYLE: "true",
  BUDGIE_S3_LACKS: '["It keeps no versions."]',
  BUDGIE_S3_WRITER_FILE: "/run/secrets/s3-writer.json",
};
const SSH = {
  BUDGIE_SSH_TARGET: "ssh://keeper@nas.home:2222/volume1/budgie",
  BUDGIE_SSH_KEY_FILE: "/run/secrets/ssh-key",
  BUDGIE_SSH_HOST_KEY: "ssh-ed25519 AAAAC3Nz",
};

describe("the agent's settings for copies elsewhere", () => {
  it("are absent where the stack has none", () => {
    expect(readSettings(BASE)).toMatchObject({ offsite: null, ssh: null });
    expect(readSettings({ ...BASE, BUDGIE_OFFSITE: "none" }).offsite).toBeNull();
  });

  it("name the store, and the file that holds its credentials", () => {
    expect(readSettings({ ...BASE, ...OFFSITE }).offsite).toEqual({
      kind: "s3",
      bucket: "household",
      prefix: "dev/",
      region: "us-east-1",
      endpoint: "http://store:9000",
      pathStyle: true,
      lacks: ["It keeps no versions."],
      writerFile: "/run/secrets/s3-writer.json",
    });
  });

  it("need no endpoint at Amazon's", () => {
    const { BUDGIE_S3_ENDPOINT: _, ...store } = OFFSITE;
    const aws = { ...store, BUDGIE_OFFSITE: "aws", BUDGIE_S3_PATH_STYLE: "false", BUDGIE_S3_LACKS: "[]" };
    expect(readSettings({ ...BASE, ...aws }).offsite).toMatchObject({
      endpoint: null,
      pathStyle: false,
      lacks: [],
    });
  });

  it("take an ssh target apart", () => {
    expect(readSettings({ ...BASE, ...SSH }).ssh).toEqual({
      target: "ssh://keeper@nas.home:2222/volume1/budgie",
      user: "keeper",
      host: "nas.home",
      port: 2222,
      path: "/volume1/budgie",
      keyFile: "/run/secrets/ssh-key",
      hostKey: "ssh-ed25519 AAAAC3Nz",
      setting: "offsiteSsh",
    });
    const v6 = readSettings({ ...BASE, ...SSH, BUDGIE_SSH_TARGET: "ssh://root@[fd00::1]/b" }).ssh;
    expect(v6).toMatchObject({ host: "fd00::1", port: 22, path: "/b" });
  });

  it("are refused with everything that is wrong at once", () => {
    const wrong = {
      ...BASE,
      ...OFFSITE,
      BUDGIE_S3_BUCKET: "",
      BUDGIE_S3_PREFIX: "dev",
      BUDGIE_S3_LACKS: "nothing",
      ...SSH,
      BUDGIE_SSH_TARGET: "keeper@nas:/volume1",
    };
    expect(() => readSettings(wrong)).toThrow(
      /BUDGIE_S3_BUCKET: .*BUDGIE_S3_PREFIX: must end with \/.*BUDGIE_S3_LACKS: must be a JSON array.*BUDGIE_SSH_TARGET: must be like/,
    );
  });
});

describe("the agent's environment", () => {
  const told: ToldSettings<never> = {
    statusPort: 8617,
    alertsFile: "/run/secrets/alerts.json",
    host: "budgie-db",
    port: 5433,
    user: "budgie_user",
    database: "budgie_dev",
    passfile: "/run/secrets/pgpass",
    stack: "dev",
    stackVersion: "0.1.0",
    manifestKeyFile: "/run/secrets/manifest-key",
    backupDir: "/backups",
    recordsDir: "/records",
    backupDirShown: "./copies",
    format: "sql.zst",
    recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
    schedule: { expression: "0 2 * * *", timeZone: "Europe/Berlin", jitterSeconds: 60 },
    keep: { days: 8, atLeast: 4, weeks: 5, months: 13 },
    pointInTime: true,
    databaseMemoryMegabytes: 2048,
    standby: { host: "10.0.0.6", port: 5433, tlsFolder: "/run/secrets/standby" },
    managed: { rootFile: "/run/secrets/database-roots.pem" },
    offsite: {
      kind: "s3",
      bucket: "household",
      prefix: "dev/",
      region: "us-east-1",
      endpoint: "http://store:9000",
      pathStyle: true,
      lacks: ["It keeps no versions."],
      writerFile: "/run/secrets/s3-writer.json",
    },
    ssh: {
      target: "ssh://keeper@nas.home:2222/volume1/budgie",
      keyFile: "/run/secrets/ssh-key",
      hostKey: "ssh-ed25519 AAAAC3Nz",
    },
    refresh: {
      fromStack: "prod",
      source: "s3://prod-backups?region=eu-central-1",
      expression: "30 5 * * 1",
      maskShown: "./mask.sql",
      maskFile: "/run/secrets/refresh-mask.sql",
      readerFile: "/run/secrets/refresh-reader.json",
      identityFile: "/run/secrets/refresh-identity",
      ssh: { keyFile: "/run/secrets/refresh-ssh-key", hostKey: "ssh-ed25519 AAAAC3Nz" },
    },
  };
  const readBack = (settings: ToldSettings<never>) =>
    readSettings(Object.fromEntries(agentEnvironment(settings)));

  it("is read as it was written", () => {
    const { passfile: _, ssh, refresh, ...settings } = told;
    const { expression, ...refreshed } = refresh as NonNullable<typeof refresh>;
    expect(readBack(told)).toEqual({
      ...settings,
      refresh: { ...refreshed, schedule: { expression, timeZone: "Europe/Berlin", jitterSeconds: 0 } },
      ssh: {
        ...ssh,
        user: "keeper",
        host: "nas.home",
        port: 2222,
        path: "/volume1/budgie",
        setting: "offsiteSsh",
      },
    });
  });

  it("is read as it was written where the stack has little", () => {
    const none = {
      stackVersion: null,
      recipients: [],
      pointInTime: false,
      databaseMemoryMegabytes: null,
      statusPort: null,
      alertsFile: null,
      standby: null,
      offsite: null,
      ssh: null,
      refresh: null,
    };
    const schedule = { ...told.schedule, expression: null };
    const { passfile: _, ...settings } = told;
    expect(readBack({ ...told, ...none, schedule })).toEqual({ ...settings, ...none, schedule: null });
  });

  it.each(Object.keys(BASE).filter(name => name !== "PGPASSFILE"))("has no default for %s", name => {
    expect(() => readSettings({ ...BASE, [name]: undefined })).toThrow(`${name}: `);
  });
});
