import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../../settings.ts";
import type { Backend } from "../backend.ts";
import type { BackupAgent } from "../backup-agent.ts";
import type { BackupPlace } from "../containers/backup-place.ts";
import type { Database } from "../database.ts";
import type { OffsiteStore } from "../offsite/store.ts";
import { stackReadme } from "./readme.ts";
import { scheduleInWords } from "./schedule-words.ts";

/** What the outputs are made from. */
export interface Deployed {
  settings: Settings;
  backupPlace: BackupPlace;
  db: Database;
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
  return {
    name,
    container: db.container.name,
    volume: db.volume.name,
    ...(databasePort === undefined ? {} : { address: `127.0.0.1:${databasePort}` }),
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
  const { stack, namePrefix, databaseName, databasePort } = settings;
  const names = [backend.name, db.container.name, agent.container.name, db.volume.name];
  return pulumi.all(names).apply(([api = "", database = "", backup = "", volume = ""]) =>
    stackReadme({
      stack,
      url: backend.url,
      budgie: budgieCommand(namePrefix),
      containers: { api, database, agent: backup },
      database: {
        name: databaseName,
        volume,
        address: databasePort === undefined ? "not published" : `on 127.0.0.1:${databasePort}`,
      },
      backups: { directory: backupPlace.source, taken: scheduleInWords(settings.backupPolicy) },
      copies: copiesInWords(deployed),
    }),
  );
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
