// The stack as it was declared at three moments of its past: the same URNs, and the inputs by which they differ. Frozen: what
// a stack in the field was made with never changes. The programs inside the images, and the steps, are today's.
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { AGENT_FILES } from "../../../components/images/agent-files.ts";
import { bundle } from "../../../components/images/bundle.ts";
import type { PinnedImages } from "../../../components/images/pinned-images.ts";

/**
 * 1  as first released: no gates, and nothing checks which database it is
 * 2  with the gate before a change, and the check of the database's identity
 * 3  with a schedule and off-site copies (none, here), and before the stack remembered its engine
 */
const layout = Number(process.env.BUDGIE_TEST_LAYOUT);
const since = (first: number) => layout >= first;

const config = new pulumi.Config("budgie");
const [stack, prefix] = [pulumi.getStack(), config.require("namePrefix")];
const [databaseName, backupDir] = [config.require("databaseName"), config.require("backupDir")];
const httpPort = config.requireNumber("httpPort");
const engineHost = config.require("engineHost");

const noPins: PinnedImages = new Map();

const labels = (of: Record<string, string>) =>
  Object.entries({ "budgie.stack": stack, "budgie.prefix": prefix, ...of }).map(([label, value]) => ({
    label,
    value,
  }));
const component = (type: string, name: string) =>
  new pulumi.ComponentResource(`budgie:stack:${type}`, name, {}, { providers: [provider] });
const secret = (name: string, parent: pulumi.Resource) =>
  pulumi.secret(
    new command.local.Command(
      name,
      {
        create: `node -p "require('node:crypto').randomBytes(32).toString('base64url')"`,
        logging: "none",
        addPreviousOutputInEnv: false,
      },
      {
        parent,
        additionalSecretOutputs: ["stdout"],
        ignoreChanges: ["create", "logging", "addPreviousOutputInEnv"],
      },
    ).stdout,
  );
const step = (
  name: string,
  script: string,
  input: Record<string, pulumi.Input<unknown>>,
  parent: pulumi.Resource,
) =>
  new command.local.Command(
    name,
    {
      create: `node --import tsx components/${script}.ts`,
      stdin: pulumi.secret(pulumi.jsonStringify(input)),
      addPreviousOutputInEnv: false,
      logging: "none",
    },
    { parent, additionalSecretOutputs: ["stdin"] },
  );
const base = (role: string, others: Record<string, string> = {}) => ({
  networksAdvanced: [{ name: network.name }],
  restart: "unless-stopped",
  securityOpts: ["no-new-privileges:true"],
  logDriver: "json-file",
  logOpts: { "max-size": "10m", "max-file": "5" },
  labels: labels({ "budgie.role": role, ...others }),
});
const options = (parent: pulumi.Resource, dependsOn: pulumi.Resource[] = []) => ({
  parent,
  dependsOn,
  replaceOnChanges: ["healthcheck", "init", "tmpfs"],
  deleteBeforeReplace: true,
});
const built = (
  name: string,
  image: string,
  { context, hash }: { context: string; hash: string },
  parent: pulumi.Resource,
) =>
  new docker.RemoteImage(
    name,
    {
      name: `${prefix}-${image}:${hash.slice(0, 12)}`,
      build: { context, dockerfile: "Dockerfile", useLegacyBuilder: true },
      triggers: { content: hash },
      keepLocally: true,
    },
    { parent },
  );

const provider = new docker.Provider("engine", { host: engineHost, context: "" });
const network = new docker.Network(
  "network",
  { name: `${prefix}-network`, labels: labels({}) },
  { provider },
);

const database = component("Database", "database");
const password = secret("database-password", database);
const volume = new docker.Volume(
  "database-volume",
  { name: `${prefix}-postgres-data`, labels: labels({}) },
  { parent: database, retainOnDelete: true, ignoreChanges: ["labels", "driver", "driverOpts"] },
);
const initialPassword = "/run/secrets/initial-password";
const databaseContainer = new docker.Container(
  "database-container",
  {
    ...base("database"),
    name: `${prefix}-db`,
    image: new docker.RemoteImage(
      "database-image",
      { name: "postgres:16-alpine", keepLocally: true },
      { parent: database },
    ).imageId,
    envs: [
      "POSTGRES_USER=budgie_user",
      `POSTGRES_DB=${databaseName}`,
      `POSTGRES_PASSWORD_FILE=${initialPassword}`,
    ],
    uploads: [
      {
        file: initialPassword,
        content: secret("database-initial-password", database),
        permissions: "0400",
      },
    ],
    volumes: [{ volumeName: volume.name, containerPath: "/var/lib/postgresql/data" }],
    ports: [],
    healthcheck: {
      tests: [
        "CMD",
        "psql",
        "-XAtq",
        "-h",
        "127.0.0.1",
        "-U",
        "budgie_user",
        "-d",
        databaseName,
        "-c",
        "select 1",
      ],
      interval: "10s",
      timeout: "5s",
      startPeriod: "30s",
      startInterval: "0s",
      retries: 3,
    },
    shmSize: 256,
    destroyGraceSeconds: 60,
    removeVolumes: false,
  },
  options(database),
);
const databaseReady = step(
  "database-ready",
  "database-ready",
  {
    engine: engineHost,
    container: databaseContainer.id,
    volume: volume.name,
    database: databaseName,
    user: "budgie_user",
    password,
  },
  database,
);

const agent = component("BackupAgent", "backup-agent");
const capabilities = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"];
const agentContainer = new docker.Container(
  "backup-agent-container",
  {
    ...base("backup-agent", {
      "budgie.backup-dir": backupDir,
      "budgie.backup-dir-shown": backupDir,
      ...(since(3) ? { "budgie.object-store": "none" } : {}),
    }),
    name: `${prefix}-backup`,
    image: built(
      "backup-agent-image",
      "backup",
      bundle(
        "agent",
        {
          entry: "agent/main.ts",
          file: "agent.cjs",
          beside: [...AGENT_FILES],
        },
        noPins,
      ),
      agent,
    ).imageId,
    envs: [
      pulumi.interpolate`PGHOST=${databaseContainer.name}`,
      "PGPORT=5432",
      "PGUSER=budgie_user",
      `PGDATABASE=${databaseName}`,
      "PGPASSFILE=/run/secrets/pgpass",
      // No stack of that time had one; today's agent works with none without it.
      "BUDGIE_MANIFEST_KEY_FILE=/run/secrets/manifest-key",
      `BUDGIE_STACK=${stack}`,
      "BUDGIE_BACKUP_DIR=/backups",
      `BUDGIE_BACKUP_DIR_SHOWN=${backupDir}`,
      "BUDGIE_BACKUP_FORMAT=sql",
      // No stack of that time had that volume; today's agent notes nothing without it.
      "BUDGIE_RECORDS_DIR=/records",
      // Stacks of layout 1 and 2 had none of these; today's agent works with none without them.
      "BUDGIE_TIMEZONE=UTC",
      "BUDGIE_BACKUP_JITTER_SECONDS=0",
      "BUDGIE_KEEP_DAYS=7",
      "BUDGIE_KEEP_AT_LEAST=3",
      "BUDGIE_KEEP_WEEKS=4",
      "BUDGIE_KEEP_MONTHS=12",
      "BUDGIE_OFFSITE=none",
    ],
    uploads: [
      {
        file: "/run/secrets/pgpass",
        content: password.apply(text => `*:*:*:*:${text}\n`),
        permissions: "0400",
      },
      {
        file: "/run/secrets/manifest-key",
        content: "of no stack that ever was, and long enough",
        permissions: "0400",
      },
    ],
    volumes: [{ hostPath: backupDir, containerPath: "/backups" }],
    capabilities: { drops: ["ALL"], adds: since(2) ? capabilities.map(name => `CAP_${name}`) : capabilities },
    init: true,
    destroyGraceSeconds: 60,
  },
  options(agent, [databaseReady]),
);
const identity = since(2)
  ? [
      step(
        "backup-agent-database-identity",
        "database-identity",
        { engine: engineHost, container: agentContainer.id, database: databaseContainer.id },
        agent,
      ),
    ]
  : [];

const backend = component("Backend", "backend");
const sessionSecret = secret("backend-session-secret", backend);
const url = `http://localhost:${httpPort}`;
const backendContainer = new docker.Container(
  "backend-container",
  {
    ...base("backend", { "budgie.url": url }),
    name: `${prefix}-backend`,
    image: built(
      "backend-image",
      "backend",
      bundle(
        "backend",
        {
          entry: "backend/server.ts",
          file: "server.cjs",
          beside: ["backend/Dockerfile"],
        },
        noPins,
      ),
      backend,
    ).imageId,
    envs: [
      pulumi.interpolate`DB_HOST=${databaseContainer.name}`,
      "DB_PORT=5432",
      `DB_NAME=${databaseName}`,
      "DB_USER=budgie_user",
      "NODE_ENV=production",
      "HOST=0.0.0.0",
      "PORT=3001",
      `FRONTEND_URL=${url}`,
      "DB_PASSWORD_FILE=/run/secrets/db-password",
      "SESSION_SECRET_FILE=/run/secrets/session-secret",
    ],
    uploads: [
      { file: "/run/secrets/db-password", content: password, permissions: "0444" },
      { file: "/run/secrets/session-secret", content: sessionSecret, permissions: "0444" },
    ],
    ports: [{ internal: 3001, external: httpPort, ip: "127.0.0.1" }],
    capabilities: { drops: ["ALL"] },
    init: true,
    destroyGraceSeconds: 20,
  },
  options(backend, [databaseReady, ...identity]),
);
const backendReady = step(
  "backend-ready",
  "backend-ready",
  {
    engine: engineHost,
    container: backendContainer.id,
    address: "127.0.0.1",
    port: httpPort,
    internalPort: 3001,
    secrets: [password, sessionSecret],
  },
  backend,
);

if (since(2)) {
  new command.local.Command(
    "backup-gates-before-change",
    {
      create: "exit 0",
      delete: "node --import tsx components/backup-gate.ts",
      stdin: JSON.stringify({ engine: engineHost, namePrefix: prefix }),
      triggers: [databaseContainer.id],
      addPreviousOutputInEnv: false,
    },
    {
      parent: component("BackupGates", "backup-gates"),
      dependsOn: [agentContainer, ...identity, backendReady],
    },
  );
}
