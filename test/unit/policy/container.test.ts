import { describe, expect, it } from "vitest";
import { containersAreChecked } from "../../../policy/container-healthcheck.ts";
import { logsAreRotated } from "../../../policy/container-log.ts";
import { memoryIsLimited } from "../../../policy/container-memory.ts";
import { capabilitiesAreDropped, noNewPrivileges } from "../../../policy/container-privileges.ts";
import { containersRestart } from "../../../policy/container-restart.ts";
import { noSecretsInEnvironment } from "../../../policy/container-secrets.ts";
import { databaseIsOnAVolume, volumesAreNotReplaced } from "../../../policy/data-volume.ts";
import { databaseIsNotPublic } from "../../../policy/database-port.ts";
import { imagesDoNotMove, imagesHaveATag } from "../../../policy/image-names.ts";
import { CONTAINER, IMAGE, VOLUME } from "../../../policy/resource-of-type.ts";
import { UNKNOWN, violations } from "../../support/stack/policies.ts";

const DATABASE = [{ label: "budgie.role", value: "database" }];
const DATA = "/var/lib/postgresql/data";

describe("the database's data", () => {
  const check = (inputs: object) =>
    violations(databaseIsOnAVolume, CONTAINER, { labels: DATABASE, removeVolumes: false, ...inputs });

  it("is on a named volume", () => {
    expect(check({ volumes: [{ volumeName: "budgie-postgres-data", containerPath: DATA }] })).toEqual([]);
  });

  it.each([
    ["in the container itself", []],
    ["on a volume without a name", [{ containerPath: DATA }]],
    ["beside the volume", [{ volumeName: "budgie-postgres-data", containerPath: "/data" }]],
  ])("is never %s", (_, volumes) => {
    expect(check({ volumes })).toEqual([
      expect.stringContaining("its data is gone with the container. Type:"),
    ]);
  });

  it("is not removed with the container", () => {
    const volumes = [{ volumeName: "budgie-postgres-data", containerPath: DATA }];
    const [message] = check({ volumes, removeVolumes: true });
    expect(message).toContain("Type: removeVolumes: false");
    expect(check({ volumes, removeVolumes: undefined })).toHaveLength(1);
  });

  it("is nothing that other containers are asked for", () => {
    expect(violations(databaseIsOnAVolume, CONTAINER, {})).toEqual([]);
  });
});

describe("a volume", () => {
  const ignoreChanges = ["labels", "driver", "driverOpts"];

  it("has a name, and ignores what would replace it", () => {
    const inputs = { name: "budgie-postgres-data" };
    expect(violations(volumesAreNotReplaced, VOLUME, inputs, { ignoreChanges })).toEqual([]);
  });

  it.each(ignoreChanges)("is not replaced for its %s", property => {
    const others = ignoreChanges.filter(other => other !== property);
    const inputs = { name: "budgie-postgres-data" };
    const found = violations(volumesAreNotReplaced, VOLUME, inputs, { ignoreChanges: others });
    expect(found).toEqual([
      `The volume example is replaced by a new, empty one when its ${property} change. ` +
        'Type, in its options: ignoreChanges: ["labels","driver","driverOpts"]',
    ]);
  });

  it("is not named by chance", () => {
    expect(violations(volumesAreNotReplaced, VOLUME, {}, { ignoreChanges })).toHaveLength(1);
  });
});

describe("the database's port", () => {
  const check = (inputs: object) =>
    violations(databaseIsNotPublic, CONTAINER, { labels: DATABASE, ...inputs });

  it.each(["127.0.0.1", "127.1.2.3", "::1"])("may be published on %s", ip => {
    expect(check({ ports: [{ internal: 5432, external: 5433, ip }] })).toEqual([]);
  });

  it.each(["0.0.0.0", "192.168.1.10", "::", "", undefined])("is never published on %s", ip => {
    const [message] = check({ ports: [{ internal: 5432, external: 5432, ip }] });
    expect(message).toContain(`publishes port 5432 on ${ip || "every address"} of the machine`);
    expect(message).toContain("npm run pulumi -- config rm budgie:databasePort");
  });

  it("may be published for the replicas where the stack has set the server's rules for it, and nowhere else", () => {
    const labels = [...DATABASE, { label: "budgie.replicas-at", value: "10.0.0.5:5433" }];
    const published = (ip: string, external: number) =>
      check({ labels, ports: [{ internal: 5432, external, ip }] });
    expect(published("10.0.0.5", 5433)).toEqual([]);
    expect(published("10.0.0.5", 5432)).toHaveLength(1);
    expect(published("0.0.0.0", 5433)).toHaveLength(1);
  });

  it("counts also on a container that is not labelled, and any port on one that is", () => {
    expect(violations(databaseIsNotPublic, CONTAINER, { ports: [{ internal: 5432 }] })).toHaveLength(1);
    expect(check({ ports: [{ internal: 9187 }] })).toHaveLength(1);
  });

  it("leaves the API's port to its settings", () => {
    const ports = [{ internal: 3001, external: 80, ip: "0.0.0.0" }];
    expect(violations(databaseIsNotPublic, CONTAINER, { ports })).toEqual([]);
  });

  it("is not published by sharing the machine's network", () => {
    expect(check({ networkMode: "host" })).toHaveLength(1);
  });
});

describe("a container's environment", () => {
  const check = (...envs: string[]) => violations(noSecretsInEnvironment, CONTAINER, { envs });

  it.each([
    "POSTGRES_USER=budgie_user",
    "POSTGRES_PASSWORD_FILE=/run/secrets/initial-password",
    "PGPASSFILE=/run/secrets/pgpass",
    "SESSION_SECRET=",
    "TOKEN_LOGIN=false",
    "BUDGIE_SSH_HOST_KEY=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ== backup@nas",
    "BUDGIE_SSH_TARGET=ssh://budgie@nas.example.com:22/volume1/budgie",
    "FRONTEND_URL=https://budgie.example.com:8443/app",
    "MONKEY=curious",
    "PATH=/usr/bin:/bin",
  ])("may hold %s", env => {
    expect(check(env)).toEqual([]);
  });

  it.each([
    "DB_PASSWORD=canary",
    "PGPASSWORD=canary",
    "SESSION_SECRET=canary",
    "AWS_SECRET_ACCESS_KEY=canary",
    "AWS_ACCESS_KEY_ID=canary",
    "API_KEY=canary",
    "GITHUB_TOKEN=canary",
    "DB_PASS=/ab cd/canary",
    "DATABASE_URL=postgres://budgie_user:canary@db/budgie_dev",
    "SMTP=smtp://:canary@mail.example.com",
  ])("never holds %s", env => {
    const [message] = check("HOST=0.0.0.0", env);
    expect(message).toContain(`in its variable ${env.split("=")[0]}:`);
    expect(message).not.toContain("canary");
  });

  it("is checked as far as it is known, and the rest is said to be unknown", () => {
    const found: string[] = [];
    expect(() => found.push(...check(UNKNOWN, "HOST=0.0.0.0"))).toThrow("can't be known during preview");
  });
});

describe("an image", () => {
  const ofImage = (inputs: object) => violations(imagesHaveATag, IMAGE, { ...inputs });
  const digest = `sha256:${"0".repeat(64)}`;

  it.each([
    "postgres:16-alpine",
    "localhost:5000/team/budgie:1.4.2",
    `postgres@${digest}`,
    `postgres:16@${digest}`,
  ])("may be named %s", name => {
    expect(ofImage({ name })).toEqual([]);
    expect(violations(imagesDoNotMove, IMAGE, { name })).toEqual([]);
  });

  it.each(["postgres", "localhost:5000/team/budgie"])("is never named %s", name => {
    expect(ofImage({ name })).toEqual([expect.stringContaining(`names the image ${name} without a tag`)]);
  });

  it("that is built here has no address that could move", () => {
    expect(ofImage({ name: "budgie-backend", build: { context: "." } })).toEqual([]);
  });

  it("named latest is advised against, not refused", () => {
    const found = violations(imagesDoNotMove, IMAGE, { name: "pgsty/silo:latest" });
    expect(found).toEqual([expect.stringContaining("Type its digest: pgsty/silo@sha256:…")]);
    expect(imagesDoNotMove.enforcementLevel).toBe("advisory");
    expect(ofImage({ name: "pgsty/silo:latest" })).toEqual([]);
  });

  it("is given to a container by its id, also while that is not known, or by a whole name", () => {
    const ofContainer = (image: string) => violations(imagesHaveATag, CONTAINER, { image });
    expect(ofContainer(digest)).toEqual([]);
    expect(ofContainer(UNKNOWN)).toEqual([]);
    expect(ofContainer("postgres")).toHaveLength(1);
  });
});

describe("a container", () => {
  it.each(["unless-stopped", "always"])("that restarts %s comes back after a reboot", restart => {
    expect(violations(containersRestart, CONTAINER, { restart })).toEqual([]);
  });

  it.each(["no", "on-failure", undefined])("with the restart policy %s does not", restart => {
    const found = violations(containersRestart, CONTAINER, { restart });
    expect(found).toEqual([expect.stringContaining('Type: restart: "unless-stopped"')]);
  });
});

describe("a container's log", () => {
  const bounded = { "max-size": "10m", "max-file": "5" };

  it.each([
    ["json-file", bounded],
    ["local", undefined],
    ["journald", undefined],
  ])("is bounded by %s", (logDriver, logOpts) => {
    expect(violations(logsAreRotated, CONTAINER, { logDriver, logOpts })).toEqual([]);
  });

  it.each([
    ["nothing", undefined, undefined],
    ["json-file without bounds", "json-file", undefined],
    ["json-file with a size alone", "json-file", { "max-size": "10m" }],
    ["a log server", "syslog", undefined],
    ["no log at all", "none", undefined],
  ])("is not bounded by %s", (_, logDriver, logOpts) => {
    const found = violations(logsAreRotated, CONTAINER, { logDriver, logOpts });
    expect(found).toEqual([expect.stringContaining('Type: logDriver: "json-file"')]);
  });
});

describe("a container's healthcheck", () => {
  const whole = {
    tests: ["CMD", "psql", "-c", "values(1)"],
    interval: "10s",
    timeout: "5s",
    startPeriod: "30s",
    startInterval: "0s",
    retries: 3,
  };
  const check = (healthcheck?: object) => violations(containersAreChecked, CONTAINER, { healthcheck });

  it("is there, with every field set", () => {
    expect(check(whole)).toEqual([]);
    expect(check({ ...whole, tests: ["CMD-SHELL", "true"] })).toEqual([]);
  });

  it.each([
    ["missing", undefined],
    ["turned off", { ...whole, tests: ["NONE"] }],
    ["empty", { ...whole, tests: ["CMD"] }],
  ])("is never %s", (_, healthcheck) => {
    expect(check(healthcheck)).toEqual([expect.stringContaining("has no healthcheck")]);
  });

  it.each(["interval", "timeout", "startPeriod", "startInterval", "retries"])(
    "does not leave its %s to the engine",
    field => {
      expect(check({ ...whole, [field]: undefined })).toEqual([
        expect.stringContaining(`leaves ${field} to the engine`),
      ]);
    },
  );

  it("has no word that Podman would cut", () => {
    expect(check({ ...whole, tests: ["CMD", "sh", "-c", "exit 0"] })).toEqual([
      expect.stringContaining("where Podman cuts it in two"),
    ]);
  });
});

describe("a container's memory", () => {
  const check = (inputs: object) => violations(memoryIsLimited, CONTAINER, { ...inputs });

  it.each([
    { memory: 512, memorySwap: 512 },
    { memory: 512, memorySwap: 1024 },
  ])("may be limited to %o", limits => {
    expect(check(limits)).toEqual([]);
  });

  it.each([{}, { memory: 0 }, { memorySwap: 512 }])("is not limited by %o", limits => {
    expect(check(limits)).toEqual([expect.stringContaining("Type: memory: 512, memorySwap: 512")]);
  });

  it.each([{ memory: 512 }, { memory: 512, memorySwap: -1 }, { memory: 512, memorySwap: 256 }])(
    "is limited by %o, and its swap space is not",
    limits => {
      expect(check(limits)).toEqual([expect.stringContaining("Type: memorySwap: 512")]);
    },
  );
});

describe("a container's rights", () => {
  const check = (inputs: object) => violations(capabilitiesAreDropped, CONTAINER, { ...inputs });

  it("are none, or those for files and users of its own", () => {
    expect(check({ capabilities: { drops: ["ALL"] } })).toEqual([]);
    expect(check({ capabilities: { drops: ["ALL"], adds: ["CAP_CHOWN", "SETUID"] } })).toEqual([]);
  });

  it.each([undefined, {}, { drops: ["CAP_NET_RAW"] }])("are not left to the engine by %o", capabilities => {
    expect(check({ capabilities })).toEqual([
      expect.stringContaining('Type: capabilities: { drops: ["ALL"] }'),
    ]);
  });

  it.each(["CAP_SYS_ADMIN", "NET_ADMIN", "ALL"])("are never %s", added => {
    const [message] = check({ capabilities: { drops: ["ALL"], adds: [added, "CAP_CHOWN"] } });
    expect(message).toContain(`is given ${added}, which reaches beyond`);
  });

  it("are never those of the machine", () => {
    expect(check({ privileged: true, capabilities: { drops: ["ALL"] } })).toEqual([
      expect.stringContaining("Type: privileged: false"),
    ]);
  });

  it.each(["no-new-privileges:true", "no-new-privileges"])("do not grow with %s", option => {
    expect(violations(noNewPrivileges, CONTAINER, { securityOpts: [option] })).toEqual([]);
  });

  it.each([undefined, [], ["no-new-privileges:false"], ["label=disable"]])("may grow with %o", options => {
    expect(violations(noNewPrivileges, CONTAINER, { securityOpts: options })).toEqual([
      expect.stringContaining('Type: securityOpts: ["no-new-privileges:true"]'),
    ]);
  });
});
