import type { KeptBackup } from "../../../agent/catalogue/judged-backup.ts";
import { backupName } from "../../../agent/manifest/backup-name.ts";
import type { Manifest } from "../../../agent/manifest/manifest.ts";

/** A backup of stack `dev`, as its agent writes it in a scheduled run at that time. No copy of it is needed elsewhere. */
export function takenAt(
  at: Date,
  differs: Partial<KeptBackup> = {},
  reason: Manifest["reason"] = "scheduled",
) {
  const name = backupName(at, "sql");
  const manifest: Manifest = {
    format: 1,
    file: name,
    stack: "dev",
    database: "budgie_dev",
    systemIdentifier: "7301",
    identity: "known",
    serverVersion: "16.10",
    pgDumpVersion: "16.10",
    reason,
    startedAt: at.toISOString(),
    finishedAt: new Date(at.getTime() + 1000).toISOString(),
    bytes: 1000,
    sha256: "0".repeat(64),
    contentBytes: 1000,
    contentSha256: "0".repeat(64),
    schemaSha256: "0".repeat(64),
    databaseBytes: 5000,
    roles: [],
    extensions: [],
    globals: null,
    tables: [],
    offsite: null,
    offsiteSsh: null,
    mac: null,
  };
  const backup: KeptBackup = {
    name,
    manifest,
    flaw: null,
    proven: null,
    pin: null,
    lacksCopyIn: [],
    ...differs,
  };
  return backup;
}
