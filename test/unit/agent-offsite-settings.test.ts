import { describe, expect, it } from "vitest";
import { readSettings } from "../../agent/settings.ts";

const BASE = {
  PGHOST: "db",
  PGUSER: "budgie_user",
  PGDATABASE: "budgie_dev",
  BUDGIE_STACK: "dev",
  BUDGIE_BACKUP_DIR: "/backups",
};
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
    const { BUDGIE_S3_ENDPOINT: _, BUDGIE_S3_PATH_STYLE: __, BUDGIE_S3_LACKS: ___, ...aws } = OFFSITE;
    expect(readSettings({ ...BASE, ...aws, BUDGIE_OFFSITE: "aws" }).offsite).toMatchObject({
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
