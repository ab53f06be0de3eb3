import type * as pulumi from "@pulumi/pulumi";
import type { ReplicaSettings } from "../../settings/replica.ts";
import { replicaName } from "../../shared/replica-name.ts";
import type { ReadableReplica } from "../backup-agent.ts";
import type { Place } from "../containers/place.ts";
import { underneath, type Within } from "../containers/within.ts";
import type { Database, DatabaseReplicas } from "../database.ts";
import type { Prepared } from "../prepare/prepare.ts";
import { replicaResource } from "../prepare/replica-engines.ts";
import { Replica } from "../replica.ts";
import { type Credentials, machineCredentials, replicationAuthority } from "../replicas/key-pairs.ts";
import { step } from "../steps/step.ts";

/** What the database needs of its replicas, which are declared after it. */
export interface OfReplicas extends DatabaseReplicas {
  /** The replicas' own, by their names. */
  ofEach: ReadonlyMap<string, Credentials>;
  /** The one that backups are read from, and where; none when they are read from the database. */
  readable: (ReadableReplica & { name: string }) | undefined;
}

/** The certificates. Each replica is known by the name of its machine, under which it may be the database one day. */
export function databaseReplicas(
  { hosts, address, port, keepMegabytes, synchronous, backupAddress }: ReplicaSettings,
  within: Within,
): OfReplicas {
  const under = underneath(within);
  const authority = replicationAuthority(within.name("replication-authority"), under);
  const credentials = machineCredentials(within.name("replication-certificate"), authority, address, under);
  const ofEach = hosts.map(host => {
    const name = replicaName(host);
    const machine = new URL(host).hostname || name;
    const resource = within.name(`${replicaResource(name)}-certificate`);
    return [name, machineCredentials(resource, authority, machine, under)] as const;
  });
  const [first] = ofEach;
  return {
    names: ofEach.map(([name]) => name),
    keepMegabytes,
    synchronous,
    address,
    port,
    credentials,
    ofEach: new Map(ofEach),
    readable:
      backupAddress && first ? { name: first[0], address: backupAddress, port, credentials } : undefined,
  };
}

/** The replicas themselves, and the step that waits until they follow. */
export function declareReplicas(
  {
    prepared: { settings, replicas: prepared },
    place,
    database,
    replicas,
  }: { prepared: Prepared; place: Place; database: Database; replicas: OfReplicas },
  within: Within,
): void {
  const under = underneath(within);
  const declared = prepared.map(({ name, engine, dropped, triggers }) => {
    const replica = new Replica(
      within.name(replicaResource(name)),
      {
        place,
        engine,
        dropped,
        replica: name,
        version: settings.postgresVersion,
        triggers,
        database: { address: replicas.address, port: replicas.port, ready: database.connection.ready },
        credentials: replicas.ofEach.get(name) as Credentials,
        readPort: settings.replicas?.readPort,
        backupsAt: replicas.readable?.name === name ? replicas.readable : undefined,
        memoryMegabytes: settings.databaseMemoryMegabytes,
        destroyGraceSeconds: settings.destroyGraceSeconds,
      },
      under,
    );
    return { name, engine: engine.host, container: replica.container.id, image: replica.image.imageId };
  });
  step(
    within.name("replicas-ready"),
    "replicas-ready",
    {
      engine: place.engine.host,
      container: database.container.id,
      image: database.image.imageId,
      user: database.connection.user,
      database: database.connection.name,
      replicas: declared,
      synchronous: replicas.synchronous,
    },
    { ...under, dependsOn: [database.connection.ready] satisfies pulumi.Resource[] },
  );
}
