import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { Backend } from "./components/backend.ts";
import { BackupAgent } from "./components/backup-agent.ts";
import { BackupGates, gateOfOlderStacks } from "./components/backup-gates.ts";
import { Database } from "./components/database.ts";
import { spelling } from "./components/engine.ts";
import { FirstBackup } from "./components/first-backup.ts";
import { remember, wantedData } from "./components/known-data.ts";
import { offsiteStore } from "./components/offsite-store.ts";
import { labelsOf, type Place } from "./components/place.ts";
import { prepare } from "./components/prepare.ts";
import {
  backupsOutput,
  databaseOutput,
  nextStepsOutput,
  offsiteOutput,
  readmeOutput,
} from "./components/stack-outputs.ts";
import { step } from "./components/step.ts";
import { readSettings } from "./settings.ts";

const settings = readSettings();
const { stack, namePrefix, destroyGraceSeconds } = settings;
const { engine, dropped, pins, passwordAgain, apiAgain, backupDirectory, bucketLook, storeLacks } =
  await prepare(settings);

// The provider would follow DOCKER_CONTEXT past the engine that was found.
const provider = new docker.Provider("engine", { host: engine.host, context: "" });
const onEngine = { providers: [provider] };

const network = new docker.Network(
  "network",
  {
    name: `${namePrefix}-network`,
    labels: labelsOf({ "budgie.stack": stack, "budgie.prefix": namePrefix }),
  },
  { provider, ignoreChanges: spelling(engine.kind).networkIgnores },
);
const joined = step(
  "network-members",
  "network-members",
  { engine: engine.host, namePrefix, name: network.name, network: network.id },
  {},
);
const place: Place = { engine, network, joined, stack, namePrefix, dropped, pins };

const db = new Database(
  "database",
  {
    place,
    databaseName: settings.databaseName,
    password: settings.databasePassword,
    passwordAgain,
    port: settings.databasePort,
    destroyGraceSeconds,
    pointInTime: settings.backupPolicy.pointInTime,
    memoryMegabytes: settings.databaseMemoryMegabytes,
    after: gateOfOlderStacks(engine.host, namePrefix),
  },
  onEngine,
);

remember(wantedData(settings), db.connection.ready);

const bucket = await offsiteStore({ place, store: settings.objectStore, bucketLook }, onEngine);

const agent = new BackupAgent(
  "backup-agent",
  {
    place,
    database: db.connection,
    backupDir: backupDirectory,
    backupDirShown: settings.backupDir,
    format: settings.backupFormat,
    policy: settings.backupPolicy,
    recipients: settings.backupRecipients,
    destroyGraceSeconds,
    databaseMemoryMegabytes: settings.databaseMemoryMegabytes,
    bucket,
    storeLacks,
    ssh: settings.ssh,
  },
  onEngine,
);

const backend = new Backend(
  "backend",
  {
    place,
    source: settings.backend,
    database: db.connection,
    after: agent.databaseIdentity,
    again: apiAgain,
    sessionSecret: settings.sessionSecret,
    http: { address: settings.httpAddress, port: settings.httpPort },
    frontendUrl: settings.frontendUrl,
    secretsInEnvironment: settings.backendSecretsInEnvironment,
  },
  onEngine,
);

new BackupGates("backup-gates", { place, database: db, agent, backend }, onEngine);

// A stack that takes no backups by itself is not given one either.
const first =
  settings.backupPolicy.schedule === undefined
    ? undefined
    : new FirstBackup("first-backup", { place, database: db, agent, backend }, onEngine);

const deployed = { settings, backupDirectory, db, agent, backend, bucket };
export const url = backend.url;
export const backupDir = backupDirectory;
export const database = databaseOutput(deployed);
export const backups = backupsOutput(deployed);
export const offsite = offsiteOutput(deployed, storeLacks);
/** Reads the bucket, and cannot change it where the store has such keys: for `npx budgie`, which restores with it. */
export const objectStoreReader = bucket && pulumi.secret(bucket.reader);
export const firstBackup = first?.proven;
export const nextSteps = nextStepsOutput(deployed);
export const readme = readmeOutput(deployed);
