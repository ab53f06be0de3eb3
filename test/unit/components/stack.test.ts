import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { GENERATED, type Registered, runProgram, withoutSecrets } from "../../support/stack/mocks.ts";
import { dependencies, one } from "../../support/stack/resources.ts";

const CANARY = "canary-password-1";
const SESSION_CANARY = "canary-session-secret-of-32-characters";
const SECRETS = {
  "budgie:databasePassword": CANARY,
  "budgie:sessionSecret": SESSION_CANARY,
};
const SECRET_KEYS = Object.keys(SECRETS);

let plain: Registered[];
let configured: Registered[];

beforeAll(async () => {
  plain = (await runProgram()).resources;
  configured = (await runProgram(SECRETS, { secretKeys: SECRET_KEYS })).resources;
}, 60_000);

const containers = (resources: Registered[]) =>
  resources.filter(({ type }) => type === "docker:index/container:Container");

const labels = ({ inputs }: Registered): Record<string, string> =>
  Object.fromEntries(
    inputs.labels.map(({ label, value }: { label: string; value: string }) => [label, value]),
  );

describe("the volume with the data", () => {
  it("stays when the stack is destroyed, and is not replaced for its labels or driver", () => {
    const resources = plain;
    const { inputs, request } = one(resources, "database-volume");
    expect(inputs.name).toBe("budgie-postgres-data");
    expect(request.getRetainondelete()).toBe(true);
    expect(request.getIgnorechangesList()).toEqual(["labels", "driver", "driverOpts"]);
    expect(request.getProtect()).toBe(false);
  });

  it("is the database's, under the path of the image", () => {
    const resources = plain;
    const { inputs } = one(resources, "database-container");
    expect(inputs.volumes).toEqual([
      { volumeName: "budgie-postgres-data", containerPath: "/var/lib/postgresql/data" },
    ]);
    expect(inputs.removeVolumes).toBe(false);
  });
});

describe("every container", () => {
  it("is stopped gracefully, restarted after a reboot, and kept from new privileges", () => {
    const resources = plain;
    expect(containers(resources)).toHaveLength(4);
    for (const { inputs, request } of containers(resources)) {
      expect(inputs.destroyGraceSeconds).toBeGreaterThan(0);
      expect(inputs.restart).toBe("unless-stopped");
      expect(inputs.securityOpts).toEqual(["no-new-privileges:true"]);
      expect(inputs.logOpts).toEqual({ "max-size": "10m", "max-file": "5" });
      expect(inputs.wait).toBeUndefined();
      expect(request.getDeletebeforereplace()).toBe(true);
      expect(request.getReplaceonchangesList()).toEqual(["healthcheck", "init", "tmpfs"]);
    }
    expect(one(resources, "database-container").inputs.destroyGraceSeconds).toBe(60);
  });

  it("is checked for more than that its process lives, with every field set, so that no engine fills one in", () => {
    for (const { name, inputs } of containers(plain)) {
      const { tests, interval, timeout, startPeriod, startInterval, retries } = inputs.healthcheck;
      expect(tests[0], name).toBe("CMD");
      for (const duration of [interval, timeout, startPeriod, startInterval])
        expect(duration, name).toMatch(/^(\d+m)?\d+s$/);
      expect(retries, name).toBeGreaterThan(1);
    }
  });

  it("has no capability but those for files and users, and only where the image starts as root", () => {
    const added = Object.fromEntries(
      containers(plain).map(({ name, inputs }) => {
        expect(inputs.capabilities.drops).toEqual(["ALL"]);
        return [name, inputs.capabilities.adds];
      }),
    );
    const forFiles = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"];
    expect(added).toEqual({
      "database-container": [...forFiles, "CAP_SETGID", "CAP_SETUID"],
      "backup-agent-container": [...forFiles, "CAP_KILL", "CAP_SETGID", "CAP_SETUID"],
      "backend-container": undefined,
      "object-store-container": undefined,
    });
  });

  it("may take so much memory, none of it swapped out; the agent more than the database", async () => {
    const { resources } = await runProgram({ "budgie:databaseMemoryMegabytes": "2048" });
    const limits = containers(resources).map(({ name, inputs }) => {
      expect(inputs.memorySwap, name).toBe(inputs.memory);
      return [name, inputs.memory];
    });
    expect(Object.fromEntries(limits)).toEqual({
      "database-container": 2048,
      "backup-agent-container": 2560,
      "backend-container": 512,
      "object-store-container": 1024,
    });
    const agent = containers(resources).find(({ name }) => name === "backup-agent-container");
    expect(agent?.inputs.envs).toContain("BUDGIE_DATABASE_MEMORY_MEGABYTES=2048");
  });

  it("carries the labels by which the operator's commands find it", async () => {
    const { resources } = await runProgram({ "budgie:namePrefix": "other", "budgie:httpPort": "8080" });
    const expected = { "budgie.stack": "dev", "budgie.prefix": "other" };
    expect(labels(one(resources, "database-container"))).toEqual({ ...expected, "budgie.role": "database" });
    expect(labels(one(resources, "backend-container"))).toEqual({
      ...expected,
      "budgie.role": "backend",
      "budgie.url": "http://localhost:8080",
    });
    expect(labels(one(resources, "backup-agent-container"))).toEqual({
      ...expected,
      "budgie.role": "backup-agent",
      "budgie.backup-dir": `${process.cwd()}/backups`,
      "budgie.backup-dir-shown": "./backups",
      "budgie.object-store": "local",
    });
  });

  it("is named by the prefix, and so are the network and the volume", async () => {
    const { resources } = await runProgram({ "budgie:namePrefix": "other" });
    const named = (name: string) => one(resources, name).inputs.name;
    expect(named("database-container")).toBe("other-db");
    expect(named("backend-container")).toBe("other-backend");
    expect(named("backup-agent-container")).toBe("other-backup");
    expect(named("network")).toBe("other-network");
    expect(named("database-volume")).toBe("other-postgres-data");
  });
});

describe("ports", () => {
  it("publish the API on port 80 of this machine, and the database nowhere", () => {
    const resources = plain;
    expect(one(resources, "backend-container").inputs.ports).toEqual([
      { internal: 3001, external: 80, ip: "127.0.0.1" },
    ]);
    expect(one(resources, "database-container").inputs.ports).toEqual([]);
    expect(one(resources, "backup-agent-container").inputs.ports).toBeUndefined();
  });

  it("publish how things stand on 127.0.0.1 alone, where the stack has a port for it", async () => {
    const { resources } = await runProgram({ "budgie:statusPort": "8617" });
    const { inputs } = one(resources, "backup-agent-container");
    expect(inputs.ports).toEqual([{ internal: 8617, external: 8617, ip: "127.0.0.1" }]);
    expect(inputs.envs).toContain("BUDGIE_STATUS_PORT=8617");
  });

  it("publish the database on 127.0.0.1 alone, even when the API is open to the network", async () => {
    const { resources } = await runProgram({
      "budgie:databasePort": "5433",
      "budgie:httpAddress": "0.0.0.0",
    });
    expect(one(resources, "database-container").inputs.ports).toEqual([
      { internal: 5432, external: 5433, ip: "127.0.0.1" },
    ]);
  });
});

describe("secrets", () => {
  it("are encrypted wherever the state holds them", () => {
    const resources = configured;
    for (const { name, inputs } of resources) {
      const shown = JSON.stringify(withoutSecrets(inputs));
      for (const secret of [CANARY, SESSION_CANARY, GENERATED]) expect(shown, name).not.toContain(secret);
    }
    expect(JSON.stringify(resources.map(({ inputs }) => inputs))).toContain(CANARY);
  });

  it("reach containers as files, never as environment, command or label", () => {
    const resources = configured;
    for (const { inputs } of containers(resources)) {
      const { uploads, ...inspectable } = inputs;
      for (const secret of [CANARY, SESSION_CANARY, GENERATED]) {
        expect(JSON.stringify(inspectable)).not.toContain(secret);
      }
      expect(uploads.length).toBeGreaterThan(0);
    }
  });

  it("where alerts go reaches the agent as a file, because the addresses hold tokens", async () => {
    const config = {
      "budgie:heartbeatUrl": `https://hc-ping.com/${CANARY}`,
      "budgie:alertUrl": `https://ntfy.sh/${CANARY}`,
    };
    const { resources } = await runProgram(config, { secretKeys: Object.keys(config) });
    const { uploads, ...inspectable } = one(resources, "backup-agent-container").inputs;
    expect(JSON.stringify(uploads)).toContain(`https://ntfy.sh/${CANARY}`);
    expect(JSON.stringify(withoutSecrets(uploads))).not.toContain(CANARY);
    expect(JSON.stringify(inspectable)).not.toContain(CANARY);
    expect(inspectable.envs).toContain("BUDGIE_ALERTS_FILE=/run/secrets/alerts.json");
  });

  it("reach the API's environment only when the operator chose so", async () => {
    const config = { ...SECRETS, "budgie:backendSecretsInEnvironment": "true" };
    const { resources } = await runProgram(config, { secretKeys: SECRET_KEYS });
    const { inputs } = one(resources, "backend-container");
    expect(inputs.uploads).toEqual([]);
    expect(JSON.stringify(inputs.envs)).toContain(`DB_PASSWORD=${CANARY}`);
    expect(JSON.stringify(withoutSecrets(inputs.envs))).not.toContain(CANARY);
    expect(JSON.stringify(one(resources, "database-container").inputs.envs)).not.toContain(CANARY);
  });

  it("are in no command that is run, whose text a failure would show", () => {
    const resources = configured;
    const all = resources.filter(({ type }) => type === "command:local:Command");
    const gates = ["backup-gates-before-change", "backup-gate-of-older-stacks"].map(name =>
      one(resources, name),
    );
    expect(JSON.stringify(gates.map(({ inputs }) => inputs))).not.toMatch(
      new RegExp(`${CANARY}|${SESSION_CANARY}`),
    );
    const commands = all.filter(resource => !gates.includes(resource));
    for (const { inputs, request } of commands) {
      const { stdin, ...shown } = inputs;
      expect(JSON.stringify(shown)).not.toMatch(new RegExp(`${CANARY}|${SESSION_CANARY}`));
      expect(inputs.addPreviousOutputInEnv).toBe(false);
      expect(inputs.logging).toBe("none");
      expect(request.getAdditionalsecretoutputsList()).toEqual([stdin === undefined ? "stdout" : "stdin"]);
    }
    expect(commands.map(({ name }) => name).sort()).toEqual([
      "backend-ready",
      "backup-agent-database-identity",
      "backup-agent-manifest-key",
      "database-initial-password",
      "database-ready",
      "first-backup-proof",
      "network-members",
      "object-store-bucket",
      "object-store-reader-secret",
      "object-store-root-secret",
      "object-store-writer-secret",
    ]);
  });

  it("are generated once when they are not set: nothing that changes later generates them again", () => {
    const resources = plain;
    const generated = [
      "database-password",
      "database-initial-password",
      "backend-session-secret",
      "backup-agent-manifest-key",
    ];
    for (const name of generated) {
      const { inputs, request } = one(resources, name);
      expect(inputs.triggers).toBeUndefined();
      expect(request.getIgnorechangesList()).toContain("create");
    }
  });

  it("give the agent its key for the backups' manifests as a file that only root reads", () => {
    const { inputs } = one(plain, "backup-agent-container");
    expect(inputs.envs).toContain("BUDGIE_MANIFEST_KEY_FILE=/run/secrets/manifest-key");
    const uploads: { file: string; permissions: string }[] = inputs.uploads;
    expect(uploads.find(({ file }) => file === "/run/secrets/manifest-key")).toMatchObject({
      content: { value: GENERATED },
      permissions: "0400",
    });
  });

  it("change without replacing the database's container: the role's password is not among its inputs", async () => {
    const before = one(
      (await runProgram(SECRETS, { secretKeys: SECRET_KEYS })).resources,
      "database-container",
    );
    const changed = { ...SECRETS, "budgie:databasePassword": "another-password" };
    const after = one(
      (await runProgram(changed, { secretKeys: SECRET_KEYS })).resources,
      "database-container",
    );
    expect(after.inputs).toEqual(before.inputs);
  });
});

describe("order", () => {
  it("lets the API and the backup agent wait until the database answers", () => {
    const resources = plain;
    for (const name of ["backend-container", "backup-agent-container"]) {
      expect(dependencies(one(resources, name))).toContain("database-ready");
    }
    expect(dependencies(one(resources, "database-ready"))).toContain("database-container");
    expect(dependencies(one(resources, "backend-ready"))).toContain("backend-container");
  });

  it("waits for the API again when the network was made again, in which the same container finds the database anew", () => {
    expect(dependencies(one(plain, "backend-ready"))).toContain("network");
  });

  it("lets the backup agent, which the gate needs, and the API outlive the gate", () => {
    const gate = one(plain, "backup-gates-before-change");
    expect(dependencies(gate)).toContain("backup-agent-container");
    expect(dependencies(gate)).toContain("backend-ready");
    expect(gate.inputs.delete).toBe("node --import tsx components/backup-gate.ts");
  });

  it("lets the API write only to the database that the backups came from", () => {
    expect(dependencies(one(plain, "backend-container"))).toContain("backup-agent-database-identity");
    expect(dependencies(one(plain, "backup-agent-database-identity"))).toContain("backup-agent-container");
  });

  it("proves a first backup after the API has made its tables and the bucket is there, and holds up nothing", async () => {
    expect(dependencies(one(plain, "first-backup-proof"))).toEqual(
      expect.arrayContaining(["backend-ready", "object-store-bucket"]),
    );
    for (const resource of plain) expect(dependencies(resource)).not.toContain("first-backup-proof");
    const { resources, outputs } = await runProgram({ "budgie:backupSchedule": "" });
    expect(resources.map(({ name }) => name)).not.toContain("first-backup-proof");
    expect(outputs.firstBackup).toBeUndefined();
  });

  it("keeps no path of this machine in a step", () => {
    const resources = plain;
    expect(one(resources, "database-ready").inputs.create).toBe("node components/run.mjs database-ready");
    expect(one(resources, "backend-image").inputs.build.context).toBe(".build/backend");
    expect(one(resources, "backup-agent-image").inputs.build.context).toBe(".build/agent");
  });
});

describe("the API's image", () => {
  it("is the named one when one is named", async () => {
    const { resources } = await runProgram({ "budgie:backendImage": "registry.example.com/budgie:1" });
    const { inputs } = one(resources, "backend-image");
    expect(inputs).toEqual({ name: "registry.example.com/budgie:1", keepLocally: true });
  });

  it("is built from the folder given, with its Dockerfile and stage", async () => {
    const { resources } = await runProgram({
      "budgie:backendContext": "./backend",
      "budgie:backendTarget": "production",
    });
    const { inputs } = one(resources, "backend-image");
    expect(inputs.build).toEqual({
      context: `${process.cwd()}/backend`,
      dockerfile: "Dockerfile",
      target: "production",
      useLegacyBuilder: true,
    });
    expect(inputs.name).toMatch(/^budgie-backend:[0-9a-f]{12}$/);
    expect(inputs.triggers.content.startsWith(inputs.name.slice(-12))).toBe(true);
  });
});

describe("without a container engine", () => {
  it("a preview still works", () => {
    expect(plain.length).toBeGreaterThan(10);
  });

  it("`pulumi up` stops before it touches anything, and says what to type", async () => {
    await expect(runProgram({}, { preview: false })).rejects.toThrow(
      [
        "No container engine answers at unix:///nonexistent/engine.sock (there is no such socket).",
        "Start it (`systemctl start docker`, `podman machine start`), or name another one:",
        "  npm run pulumi -- config set budgie:engineHost unix:///var/run/docker.sock",
      ].join("\n"),
    );
  });
});

describe("on Podman", () => {
  it("images have full names, and what it reads back changed is left alone", async () => {
    const { resources } = await runProgram({ "budgie:engineHost": "unix:///run/podman/nonexistent.sock" });
    expect(one(resources, "database-image").inputs.name).toBe("docker.io/library/postgres:16-alpine");
    expect(one(resources, "backend-image").inputs.name).toMatch(/^localhost\/budgie-backend:/);
    expect(one(resources, "network").request.getIgnorechangesList()).toContain("ipamOptions");
    const { inputs, request } = one(resources, "backup-agent-container");
    expect(inputs.securityOpts).toEqual(["no-new-privileges"]);
    expect(request.getIgnorechangesList()).toEqual(["capabilities", "logOpts"]);
    expect(request.getReplaceonchangesList()).toEqual(expect.arrayContaining(["memory", "memorySwap"]));
    expect(labels(one(resources, "backup-agent-container"))["budgie.ignored-inputs"]).toContain("CAP_CHOWN");
    expect(inputs.volumes).toEqual([
      expect.objectContaining({ selinuxRelabel: "z" }),
      { volumeName: "budgie-backup-records", containerPath: "/records" },
    ]);
  });

  it("every container has the restart policy that Podman's own service heeds after a reboot", async () => {
    const { resources } = await runProgram({ "budgie:engineHost": "unix:///run/podman/nonexistent.sock" });
    for (const { inputs } of containers(resources)) expect(inputs.restart).toBe("always");
  });

  it("no word of a healthcheck has a space in it: Podman would cut it there", () => {
    const words = containers(plain).flatMap(({ inputs }) => inputs.healthcheck.tests as string[]);
    for (const word of words) expect(word).not.toContain(" ");
  });
});

describe("with an engine on another machine", () => {
  it.each([
    [
      "a relative backup directory is a volume there, which a destroy keeps",
      {},
      { volumeName: "budgie-backups" },
    ],
    [
      "an absolute one is a folder there",
      { "budgie:backupDir": "/srv/budgie" },
      { hostPath: "/srv/budgie", containerPath: "/backups" },
    ],
  ])("%s", async (_, settings, mount) => {
    const { resources } = await runProgram({ "budgie:engineHost": "tcp://127.0.0.1:1", ...settings });
    const agent = containers(resources).find(({ inputs }) => String(inputs.name).endsWith("-backup"));
    expect(agent?.inputs.volumes).toContainEqual(expect.objectContaining(mount));
  });
});

describe("the outputs", () => {
  it("tell where everything is and what to type next", async () => {
    const { outputs } = await runProgram({ "budgie:httpPort": "18080", "budgie:databasePort": "5433" });
    const [database, backups, offsite] = await Promise.all(
      [outputs.database, outputs.backups, outputs.offsite].map(settled),
    );
    expect(outputs.url).toBe("http://localhost:18080");
    expect(outputs.backupDir).toBe(`${process.cwd()}/backups`);
    expect(database).toEqual({
      name: "budgie_dev",
      container: "budgie-db",
      volume: "budgie-postgres-data",
      address: "127.0.0.1:5433",
    });
    expect(backups).toEqual({
      directory: `${process.cwd()}/backups`,
      container: "budgie-backup",
      taken: "At 02:00 (UTC)",
      next: "npx budgie status",
      restore: "npx budgie restore latest",
    });
    expect(offsite).toMatchObject({ kind: "local", bucket: "budgie-backups" });
    expect(outputs.nextSteps).toContain("npx budgie backup");
  });

  it("name the stack where there may be several, in commands and in the README that the console shows", async () => {
    const { outputs } = await runProgram({ "budgie:namePrefix": "other", "budgie:backupSchedule": "" });
    expect(outputs.nextSteps).toContain("npx budgie --stack other backup");
    const readme = await settled(outputs.readme);
    for (const named of ["other-backend", "other-db", "other-postgres-data", "other-backup", "by hand only"])
      expect(readme).toContain(named);
    expect(readme).toContain("npx budgie --stack other restore latest");
    expect(readme, "Pulumi Cloud would take it for a stack output").not.toContain("${");
  });

  it("show no secret but the reader's, which is one", async () => {
    const { outputs } = await runProgram(SECRETS, { secretKeys: SECRET_KEYS });
    for (const [name, output] of Object.entries(outputs)) {
      if (name === "objectStoreReader") {
        expect(await pulumi.isSecret(output as pulumi.Output<unknown>)).toBe(true);
        continue;
      }
      const shown = JSON.stringify((await settled(output)) ?? null);
      for (const secret of [CANARY, SESSION_CANARY]) expect(shown, name).not.toContain(secret);
    }
  });
});

/** The value of an output, with every output within it resolved. */
function settled(output: unknown): Promise<unknown> {
  return new Promise(resolve => pulumi.output(output as string).apply(resolve));
}

describe("a stack that takes over another one's data", () => {
  const agentOf = async (mask: string, source = "/srv/prod/backups", more: Record<string, string> = {}) => {
    const folder = mkdtempSync(join(tmpdir(), "budgie-mask-"));
    try {
      writeFileSync(join(folder, "mask.sql"), mask);
      const config = {
        "budgie:refreshFrom": "prod",
        "budgie:refreshSource": source,
        "budgie:refreshSchedule": "30 5 * * 1",
        "budgie:refreshMask": join(folder, "mask.sql"),
        ...more,
      };
      const { resources } = await runProgram(config, { secretKeys: Object.keys(more) });
      return one(resources, "backup-agent-container").inputs;
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it("gives its agent that one's folder to read, the mask as a file, and the schedule", async () => {
    const { volumes, uploads, envs } = await agentOf("DELETE FROM sessions;");
    expect(volumes).toContainEqual({
      hostPath: "/srv/prod/backups",
      containerPath: "/refresh-from",
      readOnly: true,
    });
    expect(uploads).toContainEqual({
      file: "/run/secrets/refresh-mask.sql",
      content: "DELETE FROM sessions;",
      permissions: "0400",
    });
    expect(envs).toContain("BUDGIE_REFRESH_SCHEDULE=30 5 * * 1");
  });

  it("gives its agent the keys of that one's bucket as a secret file, and mounts nothing", async () => {
    const { volumes, uploads, envs } = await agentOf("SELECT 1;", "s3://prod-backups", {
      "budgie:refreshAccessKeyId": "reader",
      "budgie:refreshSecretAccessKey": CANARY,
    });
    expect(JSON.stringify(volumes)).not.toContain("refresh-from");
    expect(JSON.stringify(uploads)).toContain(CANARY);
    expect(JSON.stringify(withoutSecrets(uploads))).not.toContain(CANARY);
    expect(JSON.stringify(envs)).not.toContain(CANARY);
  });
});

describe("replicas", () => {
  const replicas = {
    "budgie:replicaHosts": "unix:///nonexistent/db2.sock",
    "budgie:replicationAddress": "10.0.0.5",
  };

  it("are declared nowhere unless their machines are named, and the database's input does not speak of them", () => {
    expect(plain.filter(({ name }) => /replica/.test(name))).toEqual([]);
    expect(one(plain, "database-container").inputs.ports).toEqual([]);
    expect(JSON.stringify(withoutSecrets(one(plain, "database-ready").inputs))).not.toContain("replica");
  });

  it("reach the database at the address given, and are no reason to make the agent anew", async () => {
    const { resources } = await runProgram(replicas);
    expect(one(resources, "database-container").inputs.ports).toEqual([
      { internal: 5432, external: 5433, ip: "10.0.0.5" },
    ]);
    expect(withoutSecrets(one(resources, "backup-agent-container").inputs)).toEqual(
      withoutSecrets(one(plain, "backup-agent-container").inputs),
    );
  });

  it("keep their volume, and have their keys in files and nowhere else", async () => {
    const { resources } = await runProgram(replicas);
    const name = "replica-nonexistent_db2_sock";
    expect(one(resources, `${name}-volume`).request.getRetainondelete()).toBe(true);
    const { envs, command, uploads } = one(resources, `${name}-container`).inputs;
    expect(JSON.stringify([envs, command])).not.toContain(GENERATED);
    expect(JSON.stringify(withoutSecrets(uploads))).not.toContain(GENERATED);
  });
});
