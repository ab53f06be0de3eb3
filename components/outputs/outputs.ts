import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../../settings.ts";
import type { Backend } from "../backend.ts";
import type { BackupAgent } from "../backup-agent.ts";
import type { BackupPlace } from "../containers/backup-place.ts";
import { type AnyDatabase, Database } from "../database.ts";
import type { OffsiteStore } from "../offsite/store.ts";
import { stackReadme } from "./readme.ts";
import { scheduleInWords } from "./schedule-words.ts";

/** What the outputs are made from. */
export interface Deployed {
  settings: Settings;
  backupPlace: BackupPlace;
  db: AnyDatabase;
  agent: BackupAgent;
  backend: Backend;
  bucket: OffsiteStore | undefined;
}

/** The operator's command: with several stacks on one machine it must say which. */
export function budgieCommand(namePrefix: string): string {
  return namePrefix === "budgie" ? "npx budgie" : `npx budgie --stack ${namePrefix}`;
}

export function databaseOutput({ settings, db }: Deployed) {
  const { databaseName: name, databasePort } = settings;
  if (!(db instanceof Database)) return managedOutput(settings, db);
  return {
    name,
    container: db.container.name,
    volume: db.volume.name,
    ...(databasePort === undefined ? {} : { address: `127.0.0.1:${databasePort}` }),
  };
}

/** `url` is what `npx budgie migrate --to` takes; it asks for the password. */
function managedOutput({ databaseName: name, managed }: Settings, { connection, dataIn }: AnyDatabase) {
  const { host, port, user } = connection;
  const tls = `sslmode=verify-full&sslrootcert=${encodeURI(managed?.certificatesFile ?? "")}`;
  return {
    name,
    managed: managed?.kind,
    instance: dataIn,
    address: pulumi.interpolate`${host}:${port}`,
    url: pulumi.interpolate`postgres://${user}@${host}:${port}/${name}?${tls}`,
  };
}

export function backupsOutput({ settings, backupPlace, agent }: Deployed) {
  const budgie = budgieCommand(settings.namePrefix);
  return {
    directory: backupPlace.source,
    container: agent.container.name,
    taken: scheduleInWords(settings.backupPolicy),
    next: `${budgie} status`,
    ...(settings.statusPort === undefined ? {} : { page: `http://localhost:${settings.statusPort}` }),
    restore: `${budgie} restore latest`,
  };
}

export function offsiteOutput({ settings, bucket }: Deployed, lacks: readonly string[]) {
  const { objectStore, ssh } = settings;
  return { kind: objectStore.kind, bucket: bucket?.bucket, ssh: ssh?.target, lacks };
}

export function nextStepsOutput({ settings, backend }: Deployed): string[] {
  const budgie = budgieCommand(settings.namePrefix);
  return [
    `curl ${backend.url}/health`,
    ...["backup", "list", "status"].map(command => `${budgie} ${command}`),
  ];
}

export function readmeOutput(deployed: Deployed): pulumi.Output<string> {
  const { settings, backend, agent, db, backupPlace } = deployed;
  const { stack, namePrefix, databaseName } = settings;
  return pulumi
    .all([backend.name, agent.container.name, shownDatabase(settings, db)])
    .apply(([api, backup, database]) =>
      stackReadme({
        stack,
        url: backend.url,
        budgie: budgieCommand(namePrefix),
        containers: { api, agent: backup },
        database: `\`${databaseName}\` ${database}`,
        backups: { directory: backupPlace.source, taken: scheduleInWords(settings.backupPolicy) },
        copies: copiesInWords(deployed),
      }),
    );
}

/** Where it is, in words. */
function shownDatabase({ databasePort }: Settings, db: AnyDatabase): pulumi.Output<string> {
  if (!(db instanceof Database))
    return pulumi.interpolate`in Amazon's \`${db.dataIn}\` (${db.connection.managed?.kind}); ${db.connection.host}, over TLS alone`;
  const published = databasePort === undefined ? "not published" : `on 127.0.0.1:${databasePort}`;
  return pulumi.interpolate`in container \`${db.container.name}\`, on volume \`${db.volume.name}\`; ${published}`;
}

function copiesInWords({ settings, bucket }: Deployed): string {
  const { objectStore, ssh } = settings;
  const places = [
    ...(bucket && objectStore.kind !== "none"
      ? [`the bucket \`${objectStore.bucket}\` (${objectStore.kind})`]
      : []),
    ...(ssh ? [`\`${ssh.target}\``] : []),
  ];
  return places.join(", ") || "nowhere";
}
