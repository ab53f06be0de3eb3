import { beforeAll, describe, expect, it } from "vitest";
import { GENERATED, type Registered, runProgram, withoutSecrets } from "../../support/stack/mocks.ts";
import { dependencies, one } from "../../support/stack/resources.ts";

const PASSWORD = "canary-password-1";
const SESSION = "canary-session-secret-of-32-characters";
const SECRETS = { "budgie:databasePassword": PASSWORD, "budgie:sessionSecret": SESSION };
const THREE = { "budgie:backends": "3", "budgie:httpAddress": "0.0.0.0", "budgie:httpPort": "8080" };

let alone: Registered[];
let three: Registered[];

const program = async (config: Record<string, string>) =>
  (await runProgram({ ...SECRETS, ...config }, { secretKeys: Object.keys(SECRETS) })).resources;

beforeAll(async () => {
  alone = await program({});
  three = await program(THREE);
}, 60_000);

const types = (resources: Registered[]) => resources.map(({ type }) => type);
// biome-ignore lint/suspicious/noExplicitAny: the shape of the provider's input.
const taskOf = (resources: Registered[]): any => one(resources, "backend-service").inputs.taskSpec;

describe("one backend", () => {
  it("is a container, and nothing of a swarm is made", () => {
    expect(one(alone, "backend-container").inputs.name).toBe("budgie-backend");
    for (const type of ["service:Service", "secret:Secret"])
      expect(types(alone).filter(known => known.endsWith(type))).toEqual([]);
    expect(alone.filter(({ name }) => name.startsWith("backends-"))).toEqual([]);
  });

  it("is made as it was before there could be several", () => {
    const { envs, uploads } = one(alone, "backend-container").inputs;
    expect(envs).toEqual([
      "DB_HOST=budgie-db",
      "DB_PORT=5432",
      "DB_NAME=budgie_dev",
      "DB_USER=budgie_user",
      "NODE_ENV=development",
      "HOST=0.0.0.0",
      "PORT=3001",
      "FRONTEND_URL=http://localhost",
      "DB_PASSWORD_FILE=/run/secrets/db-password",
      "SESSION_SECRET_FILE=/run/secrets/session-secret",
    ]);
    expect(uploads.map(({ file, permissions }: Record<string, string>) => [file, permissions])).toEqual([
      ["/run/secrets/db-password", "0444"],
      ["/run/secrets/session-secret", "0444"],
    ]);
    expect(JSON.parse(one(alone, "backend-ready").inputs.stdin.value)).toEqual({
      engine: "unix:///nonexistent/engine.sock",
      container: "backend-container-id",
      network: "network-id",
      address: "127.0.0.1",
      port: 80,
      internalPort: 3001,
      secrets: [PASSWORD, SESSION],
    });
  });
});

describe("three backends", () => {
  it("are a service of three, and no container", () => {
    expect(three.filter(({ name }) => name === "backend-container")).toEqual([]);
    const { inputs } = one(three, "backend-service");
    expect(inputs.name).toBe("budgie-backend");
    expect(inputs.mode).toEqual({ replicated: { replicas: 3 } });
    expect(inputs.endpointSpec.ports).toEqual([
      { protocol: "tcp", targetPort: 3001, publishedPort: 8080, publishMode: "ingress" },
    ]);
  });

  it("are replaced one after the other, the new one first, and all go back where it does not come up", () => {
    const { updateConfig, rollbackConfig } = one(three, "backend-service").inputs;
    expect(updateConfig).toMatchObject({ parallelism: 1, order: "start-first", failureAction: "rollback" });
    expect(rollbackConfig).toMatchObject({ parallelism: 1, order: "start-first", failureAction: "pause" });
    // One that ends still has its connections to the database, so the next waits for longer than that takes.
    const env = taskOf(three).containerSpec.env;
    expect(Number.parseInt(updateConfig.delay, 10)).toBeGreaterThan(Number(env.DRAIN_SECONDS) + 10);
    expect(Number.parseInt(taskOf(three).containerSpec.stopGracePeriod, 10)).toBeGreaterThan(
      Number(env.DRAIN_SECONDS) + 10,
    );
  });

  it("may do no more than one could: no capability, so much memory, and logs that end", () => {
    const task = taskOf(three);
    expect(task.containerSpec.capDrops).toEqual(["ALL"]);
    expect(task.containerSpec.init).toBe(true);
    expect(task.resources.limits.memoryBytes).toBe(512 * 1024 ** 2);
    expect(task.logDriver).toEqual({ name: "json-file", options: { "max-size": "10m", "max-file": "5" } });
    expect(task.restartPolicy.condition).toBe("any");
    expect(task.containerSpec.healthcheck.tests).toEqual(
      one(alone, "backend-container").inputs.healthcheck.tests,
    );
  });

  it("share the connections of the database, with one more while an update runs", () => {
    expect(taskOf(three).containerSpec.env.DB_POOL_SIZE).toBe("10");
  });

  it("run where their image is, and find the database in a network of the swarm", () => {
    const task = taskOf(three);
    expect(task.containerSpec.image).toBe("sha256:backend-image");
    expect(task.placement.constraints).toHaveLength(1);
    expect(task.networksAdvanceds).toEqual([{ id: "backends-overlay-id" }]);
    const network = one(three, "backends-overlay").inputs;
    expect(network).toMatchObject({ name: "budgie-backends", driver: "overlay", attachable: true });
    expect(task.containerSpec.env.DB_HOST).toBe("budgie-db");
  });

  it("leave the database's container and its volume as they are", () => {
    for (const name of ["database-container", "database-volume", "backup-agent-container", "network"])
      expect(withoutSecrets(one(three, name).inputs), name).toEqual(withoutSecrets(one(alone, name).inputs));
  });

  it("start once the database serves, is who it was, and is in their network", () => {
    expect(dependencies(one(three, "backend-service"))).toEqual(
      expect.arrayContaining(["backends-network", "database-ready", "backup-agent-database-identity"]),
    );
  });

  it("get their secrets as files that the swarm keeps, under names that say nothing of them", () => {
    const task = taskOf(three);
    expect(task.containerSpec.secrets.map(({ fileName }: { fileName: string }) => fileName)).toEqual([
      "db-password",
      "session-secret",
    ]);
    const shown = JSON.stringify(one(three, "backend-service").inputs);
    for (const secret of [PASSWORD, SESSION, GENERATED]) {
      expect(shown).not.toContain(secret);
      expect(shown).not.toContain(Buffer.from(secret).toString("base64"));
    }
    const secret = one(three, "backend-db-password").inputs;
    expect(secret.name).toMatch(/^budgie-backend-db-password-[0-9a-f]{12}$/);
    expect(JSON.stringify(withoutSecrets(secret))).not.toContain(Buffer.from(PASSWORD).toString("base64"));
    expect(Buffer.from(secret.data.value, "base64").toString()).toBe(PASSWORD);
  });

  it("get another secret for another password, and the same for the same", async () => {
    const nameIn = (resources: Registered[]) => one(resources, "backend-db-password").inputs.name;
    const again = await program(THREE);
    const other = await program({ ...THREE, "budgie:databasePassword": "canary-password-2" });
    expect(nameIn(again)).toBe(nameIn(three));
    expect(nameIn(other)).not.toBe(nameIn(three));
  });
});
