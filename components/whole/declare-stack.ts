import * as docker from "@pulumi/docker";
import { spelling } from "../../engine/differences.ts";
import { networkName } from "../../shared/names.ts";
import { Backend } from "../backend.ts";
import { BackupAgent } from "../backup-agent.ts";
import { BackupGates } from "../backup-gates.ts";
import { labelsOfStack, type Place } from "../containers/place.ts";
import { engineProvider } from "../containers/provider.ts";
import { underneath, type Within } from "../containers/within.ts";
import { type AnyDatabase, Database } from "../database.ts";
import { FirstBackup } from "../first-backup.ts";
import { declareStore } from "../offsite/declare-store.ts";
import type { OffsiteStore } from "../offsite/store.ts";
import { remember, wantedData } from "../prepare/known-data.ts";
import type { Prepared } from "../prepare/prepare.ts";
import { step } from "../steps/step.ts";
import { declareDatabase } from "./declare-database.ts";
import { databaseReplicas, declareReplicas } from "./declare-replicas.ts";

/** What there is of a stack once it is declared. */
export interface Declared {
  db: AnyDatabase;
  agent: BackupAgent;
  network: docker.Network;
  bucket: OffsiteStore | undefined;
  /** None where the settings ask for none. */
  backend: Backend | undefined;
  /** None where the stack takes no backups by itself. */
  first: FirstBackup | undefined;
}

/** Declares the stack: the network, the database, the store for its backups, the agent, the API, the gates, the first backup. */
export async function declareStack(prepared: Prepared, within: Within): Promise<Declared> {
  const { settings, engine, dropped, pins, lost, marks } = prepared;
  const { apiAgain, backupPlace, refreshDirectory, bucketLook, storeLacks } = prepared;
  const { stack, namePrefix, destroyGraceSeconds } = settings;
  const { name } = within;
  const under = underneath(within);
  const triggers = new Map([...prepared.triggers].map(([image, trigger]) => [name(image), trigger]));

  const provider = engineProvider(name("engine"), engine, under);
  const onEngine = { providers: [provider], ...under };

  const network = new docker.Network(
    name("network"),
    {
      name: networkName(namePrefix),
      labels: labelsOfStack({ stack, namePrefix }),
    },
    { provider, ignoreChanges: spelling(engine.kind).networkIgnores, ...under },
  );
  const joined = step(
    name("network-members"),
    "network-members",
    { engine: engine.host, namePrefix, name: network.name, network: network.id },
    under,
  );
  const place: Place = { engine, network, joined, stack, namePrefix, dropped, pins, triggers, lost, marks };

  const replicas = settings.replicas && databaseReplicas(settings.replicas, within);
  const db = await declareDatabase(prepared, place, replicas, within, onEngine);

  remember(wantedData(settings), db.connection.ready, within);

  const names = { local: name("object-store"), other: name("offsite") };
  const bucket = await declareStore({ place, store: settings.objectStore, bucketLook, names }, onEngine);

  const agent = new BackupAgent(
    name("backup-agent"),
    {
      place,
      database: db.connection,
      postgresVersion: settings.postgresVersion,
      backupPlace,
      format: settings.backupFormat,
      policy: settings.backupPolicy,
      recipients: settings.backupRecipients,
      destroyGraceSeconds,
      databaseMemoryMegabytes: settings.databaseMemoryMegabytes,
      alerts: settings.alerts,
      statusPort: settings.statusPort,
      bucket,
      storeLacks,
      standby: replicas?.readable,
      hasApi: settings.backend.from !== "none",
      ssh: settings.ssh,
      refresh: settings.refresh,
      refreshDirectory,
    },
    onEngine,
  );

  const source = settings.backend;
  const backend =
    source.from === "none"
      ? undefined
      : new Backend(
          name("backend"),
          {
            place,
            source,
            database: db.connection,
            after: agent.databaseIdentity,
            again: apiAgain,
            several: prepared.several,
            sessionSecret: settings.sessionSecret,
            http: { address: settings.httpAddress, port: settings.httpPort },
            frontendUrl: settings.frontendUrl,
            secretsInEnvironment: settings.backendSecretsInEnvironment,
          },
          onEngine,
        );

  new BackupGates(name("backup-gates"), { place, database: db, agent, backend }, onEngine);

  if (replicas && db instanceof Database)
    declareReplicas({ prepared, place, database: db, replicas }, within);

  // A stack that takes no backups by itself is not given one either.
  const first =
    settings.backupPolicy.schedule === undefined
      ? undefined
      : new FirstBackup(name("first-backup"), { place, database: db, agent, backend }, onEngine);

  return { db, agent, network, bucket, backend, first };
}
