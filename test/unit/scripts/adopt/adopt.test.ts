import { describe, expect, it } from "vitest";
import { fittingSettings } from "../../../../scripts/adopt/fitting-settings.ts";
import { partition } from "../../../../scripts/adopt/in-adoptions-way.ts";
import { type OldData, parseLook } from "../../../../scripts/adopt/old-data.ts";
import {
  chooseInstall,
  type Found,
  type FoundContainer,
  type OldInstall,
  oldInstalls,
} from "../../../../scripts/adopt/old-install.ts";
import { parseFacts } from "../../../../scripts/volume/volume-facts.ts";

const DATA = "/var/lib/postgresql/data";
const COMPOSE = { "com.docker.compose.project": "budgie" };
const PODMAN = { "io.podman.compose.project": "budgie" };
const SECRET = "kT7-old-session-secret-of-the-compose-file";

function container(name: string, more: Partial<FoundContainer> = {}): FoundContainer {
  return {
    id: `id-of-${name}`,
    name,
    state: "running",
    image: "postgres:16-alpine",
    imageId: `sha256:${"ab".repeat(32)}`,
    labels: {},
    environment: {},
    mounts: [],
    ports: [],
    networks: ["budgie_default"],
    ...more,
  };
}

const on = (volume: string, path = DATA) => ({
  mounts: [{ volume, folder: `/var/lib/docker/volumes/${volume}/_data`, path }],
});
const database = (more: Partial<FoundContainer> = {}) =>
  container("budgie-db", { labels: COMPOSE, ...on("budgie-postgres-data"), ...more });
const backend = (more: Partial<FoundContainer> = {}) =>
  container("budgie-backend", {
    labels: COMPOSE,
    image: "budgie-backend",
    environment: { DB_NAME: "budgie_dev", DB_PASSWORD: "x", SESSION_SECRET: SECRET },
    ...more,
  });

function found(containers: FoundContainer[], volumes: Found["volumes"] = []): Found {
  const mounted = containers.flatMap(({ mounts }) =>
    mounts.flatMap(({ volume }) => (volume === null ? [] : [{ name: volume, labels: {} }])),
  );
  return { containers, volumes: [...mounted, ...volumes] };
}

const installs = (all: Found, prefix = "budgie") => oldInstalls(all, prefix);
const only = (all: Found, prefix = "budgie", volume?: string): OldInstall =>
  chooseInstall(installs(all, prefix), { prefix, volume });

describe("an old install", () => {
  it("is what belongs to the compose project of a database that speaks of Budgie", () => {
    const shop = container("shop-db", {
      labels: { "com.docker.compose.project": "shop" },
      ...on("shop-data"),
    });
    for (const labels of [COMPOSE, PODMAN]) {
      const parts = [backend({ labels }), database({ labels }), container("budgie-nginx", { labels })];
      const install = only(found([...parts, shop]));
      expect(install.volume).toBe("budgie-postgres-data");
      expect(install.containers).toEqual(parts);
    }
  });

  it("is found without labels, by the beginning of its names", () => {
    const api = backend({ labels: {} });
    const install = only(found([database({ labels: {} }), api, container("elsewhere-api")]));
    expect(install.containers.map(({ name }) => name)).toEqual(["budgie-db", "budgie-backend"]);
  });

  it("is found by a project that is called otherwise, when its volume speaks of Budgie", () => {
    const labels = { "com.docker.compose.project": "home" };
    const install = only(
      found([database({ name: "home-db-1", labels, ...on("home_budgie-postgres-data") })]),
    );
    expect(install.project).toBe("home");
  });

  it("is found by its volume alone when its containers are gone", () => {
    for (const name of [
      "budgie-postgres-data",
      "budgie_budgie-postgres-data",
      "budgie_postgres_data",
      "budgie-prod-db",
    ])
      expect(only(found([], [{ name, labels: {} }])).volume).toBe(name);
  });

  it("is none that a stack has, nor one of its other volumes, nor anybody's server", () => {
    const own = { "budgie.prefix": "budgie", "budgie.stack": "dev", "budgie.role": "database" };
    expect(installs(found([database({ labels: own })]))).toEqual([]);
    expect(
      installs(found([], [{ name: "budgie-postgres-data", labels: { "budgie.prefix": "budgie" } }])),
    ).toEqual([]);
    expect(installs(found([], [{ name: "budgie-object-store-data", labels: {} }]))).toEqual([]);
    expect(installs(found([container("jovial_kare", on("0f6b75664073"))]))).toEqual([]);
  });

  it("is not what a killed command of this project has left beside a volume", () => {
    const left = container("budgie_budgie-postgres-data-work", {
      ...on("budgie_budgie-postgres-data"),
      labels: { "budgie.volume-work": "true" },
      state: "exited",
    });
    const install = only(found([left]));
    expect(install.volume).toBe("budgie_budgie-postgres-data");
    expect(install.database).toBeUndefined();
  });

  it("must be named where there are several; the stack's own prefix says which one is meant", () => {
    const prod = { name: "budgie-prod_postgres_data", labels: {} };
    const both = found([database(), backend()], [prod]);
    expect(() => only(both)).toThrow(
      "There are several old installs of Budgie here: the volume budgie-postgres-data (budgie-db running, budgie-backend running); the volume budgie-prod_postgres_data (no container).",
    );
    expect(only(both, "budgie", prod.name).volume).toBe(prod.name);
    expect(only(both, "budgie-prod").volume).toBe(prod.name);
    expect(() => only(both, "budgie", "nosuch")).toThrow(
      "There is no old install of Budgie on the volume nosuch",
    );
    expect(() => only(found([]))).toThrow("There is no old install of Budgie on this container engine");
  });

  it("is the server at work where two containers have its volume", () => {
    const stopped = database({ name: "budgie_db_1", state: "exited" });
    expect(only(found([stopped, database()])).database?.name).toBe("budgie-db");
  });
});

const data = (...names: string[]): OldData => ({
  facts: parseFacts(""),
  databases: names.map(name => ({ name, bytes: 1, open: true })),
  roles: [],
});
const defaults = new Map([["databaseName", "budgie_dev"]]);

function fitting(containers: FoundContainer[], holds: OldData, wanted?: string) {
  const { settings, notes } = fittingSettings(only(found(containers)), holds, defaults, wanted);
  return { set: Object.fromEntries(settings.map(({ name, value }) => [name, value])), settings, notes };
}

describe("the settings that fit", () => {
  it("are the old database, image, secrets and pages", () => {
    const environment = {
      ...backend().environment,
      DB_NAME: "household",
      FRONTEND_URL: "http://localhost:5173",
    };
    const { set, settings, notes } = fitting(
      [database(), backend({ environment })],
      data("household", "other"),
    );
    expect(set).toEqual({
      databaseName: "household",
      backendImage: "budgie-backend",
      backendSecretsInEnvironment: "true",
      frontendUrl: "http://localhost:5173",
      sessionSecret: SECRET,
    });
    expect(settings.filter(({ secret }) => secret).map(({ name }) => name)).toEqual(["sessionSecret"]);
    expect(notes).toEqual([]);
  });

  it("take an image whose name means another one by now by a name of its own", () => {
    const { set } = fitting(
      [database(), backend({ image: `sha256:${"ab".repeat(32)}` })],
      data("budgie_dev"),
    );
    expect(set.backendImage).toBe("budgie-adopted-backend:abababababab");
  });

  it("leave secrets in files where the old API had them there", () => {
    const environment = { DB_PASSWORD_FILE: "/run/secrets/db", SESSION_SECRET_FILE: "/run/secrets/session" };
    const { set, notes } = fitting([database(), backend({ environment })], data("budgie_dev"));
    expect(set.backendSecretsInEnvironment).toBe("false");
    expect(notes).toEqual([expect.stringContaining("users sign in again")]);
  });

  it("never have a session secret that the stack refuses, and never show it", () => {
    for (const secret of [
      "Rz9-only-a-few",
      "a".repeat(40),
      "supersecret-supersecret-blank here",
      "ü".repeat(40),
    ]) {
      const environment = { ...backend().environment, SESSION_SECRET: secret };
      const { set, notes } = fitting([database(), backend({ environment })], data("budgie_dev"));
      expect(set.sessionSecret).toBeUndefined();
      expect(notes.join()).toContain("users sign in again");
      expect(notes.join()).not.toContain(secret);
    }
  });

  it("ask which database is Budgie's only where nothing tells", () => {
    const nobody = [database()];
    expect(fitting(nobody, data("one")).set).toEqual({ databaseName: "one" });
    expect(() => fitting(nobody, data("one", "two"))).toThrow(
      "the volume budgie-postgres-data holds one, two",
    );
    expect(fitting(nobody, data("one", "two"), "two").set).toEqual({ databaseName: "two" });
    expect(fitting(nobody, data("one", "budgie_dev")).set).toEqual({ databaseName: "budgie_dev" });
    expect(() => fitting(nobody, data("My Ledger"))).toThrow('The database is called "My Ledger"');
  });
});

describe("the containers that must go", () => {
  const engine = { host: "unix:///nonexistent/engine.sock", kind: "docker", reachable: true } as const;
  const stack = { name: "dev", prefix: "budgie", engine, containers: [] };
  const settings = new Map([
    ["httpPort", "80"],
    ["httpAddress", "127.0.0.1"],
    ["statusPort", "8617"],
    ["databasePort", "0"],
  ]);
  const parts = (...others: FoundContainer[]) => {
    const all = found([database(), ...others]);
    const { removed, left } = partition(stack, only(all), all, settings);
    return { removed: removed.map(({ container }) => container.name), left: left.map(({ name }) => name) };
  };
  const nginx = (more: Partial<FoundContainer>) => container("budgie-nginx", { labels: COMPOSE, ...more });

  it("are the API and, last, the database; frontend and nginx stay", () => {
    expect(parts(backend(), nginx({ ports: [{ address: "", port: 8443 }] }))).toEqual({
      removed: ["budgie-backend", "budgie-db"],
      left: ["budgie-nginx"],
    });
  });

  it("are also those that hold a port, a name or the network that the stack needs", () => {
    const ways: Partial<FoundContainer>[] = [
      { ports: [{ address: "", port: 80 }] },
      { ports: [{ address: "0.0.0.0", port: 8617 }] },
      { name: "budgie-backup" },
      { networks: ["budgie-network"] },
      on("budgie-postgres-data", "/looks"),
    ];
    for (const way of ways) expect(parts(nginx(way)).left).toEqual([]);
    for (const way of [
      { ports: [{ address: "192.0.2.7", port: 80 }] },
      { ports: [{ address: "", port: 80 }], state: "exited" },
    ])
      expect(parts(nginx(way)).left).toEqual(["budgie-nginx"]);
  });

  it("are never anybody else's", () => {
    const shop = container("shop-web", { ports: [{ address: "0.0.0.0", port: 80 }] });
    expect(() => parts(shop)).toThrow(
      "The container shop-web does not belong to the old install, and holds port 80",
    );
  });
});

it("what a server without clients shows is read as psql's lines are", () => {
  const shown = [
    "size|16384|7400",
    "PostgreSQL stand-alone backend 16.14",
    "backend> \t 1: line\t(typeid = 25, len = -1, typmod = -1, byval = f)",
    '\t 1:  = "database|16384|0|t|my|"odd" name"\t(typeid = 25, len = -1, typmod = -1, byval = f)',
    "\t----",
    '\t 1: line = "role|t|t|ledger_keeper"\t(typeid = 25, len = -1, typmod = -1, byval = f)',
  ].join("\n");
  expect(parseLook(shown)).toEqual({
    databases: [{ name: 'my|"odd" name', bytes: 7400 * 1024, open: true }],
    roles: [{ name: "ledger_keeper", first: true, superuser: true }],
  });
  expect(parseLook("database|16384|9000|f|household\nrole|t|t|postgres\nrole|f|f|budgie_user\n")).toEqual({
    databases: [{ name: "household", bytes: 9000, open: false }],
    roles: [
      { name: "postgres", first: true, superuser: true },
      { name: "budgie_user", first: false, superuser: false },
    ],
  });
});
