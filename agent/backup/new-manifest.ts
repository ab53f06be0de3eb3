import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Manifest } from "../manifest/manifest.ts";
import type { ServerFacts } from "../server/connection.ts";
import type { Content } from "./writing.ts";

/** A dump that lies on disk, whole. */
export interface Written extends Content {
  bytes: number;
}

/** What its manifest says of a new backup beside the dump and the server. */
export type NewBackup = Pick<
  Manifest,
  "file" | "identity" | "reason" | "globals" | "costliestRow" | "walPosition" | "backendImage"
> & {
  startedAt: Date;
};

/** The manifest of a backup whose dump has just been written, without its MAC. */
export function newManifest(
  { stack, stackVersion, database }: AgentSettings,
  { file, identity, reason, globals, costliestRow, walPosition, backendImage, startedAt }: NewBackup,
  facts: ServerFacts,
  { fingerprint, bytes, sha256, contentSha256 }: Written,
): Omit<Manifest, "mac"> {
  return {
    format: 1,
    file,
    stack,
    database,
    systemIdentifier: facts.systemIdentifier,
    identity,
    serverVersion: facts.serverVersion,
    pgDumpVersion: fingerprint.pgDumpVersion ?? "unknown",
    reason,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    bytes,
    sha256,
    contentBytes: fingerprint.bytes,
    contentSha256,
    schemaSha256: fingerprint.schemaSha256,
    databaseBytes: facts.databaseBytes,
    roles: facts.roles,
    extensions: facts.extensions,
    globals,
    longestRow: fingerprint.longestRow,
    lcMonetary: facts.lcMonetary,
    costliestRow,
    walPosition,
    stackVersion,
    backendImage,
    tables: fingerprint.tables,
    offsite: null,
    offsiteSsh: null,
  };
}
