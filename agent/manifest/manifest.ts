import { join } from "node:path";
import { z } from "zod";
import { parseRecord, type RecordReading, readableText, readRecord } from "../base/json-record.ts";
import { manifestName } from "./backup-name.ts";

export const REASONS = ["scheduled", "manual", "before-change", "before-restore"] as const;
/** No gate can tell that it stands before a destroy (components/backup-gates.ts). Manifests that say so are read all the same. */
const READABLE_REASONS = [...REASONS, "before-destroy"] as const;
export type Reason = (typeof READABLE_REASONS)[number];

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Where a backup lies in an object store. */
const offsiteCopy = z.object({
  /** `ENDPOINT/BUCKET`; `aws/BUCKET` for Amazon's own. */
  store: z.string(),
  key: z.string(),
  at: z.iso.datetime(),
  etag: z.string().nullable(),
  versionId: z.string().nullable(),
  /**
   * When the manifest was in the store too, and the copy with it: until then nothing there counts. Null in the store's
   * own manifest, so that the same bytes are sent at each try.
   */
  listedAt: z.iso.datetime().nullable(),
});

/** An image, by the name that it was started by and by the digest that tells its content. */
export const backendImage = z.object({ name: z.string(), digest: z.string() });
export type BackendImage = z.infer<typeof backendImage>;

/** Where a backup lies on a server that was reached over ssh. */
const sshCopy = z.object({ target: z.string(), at: z.iso.datetime() });

const manifest = z.object({
  format: z.literal(1),
  file: z.string(),
  stack: z.string(),
  database: z.string(),
  /** PostgreSQL's own identity of the cluster, as a decimal string: it does not fit a JSON number. */
  systemIdentifier: z.string().regex(/^\d+$/),
  /** `unexpected`: of another database than the one that this stack's backups came from. Never the latest. */
  identity: z.enum(["known", "unexpected"]),
  serverVersion: z.string(),
  pgDumpVersion: z.string(),
  reason: z.enum(READABLE_REASONS),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** Size and sha256 of the file as it lies in the backup directory. */
  bytes: z.number().int().nonnegative(),
  sha256,
  /** Size of the SQL inside it, and what names that content: the sha256 of the SQL, or of an archive itself. */
  contentBytes: z.number().int().nonnegative(),
  contentSha256: sha256,
  schemaSha256: sha256,
  /** What the database took on the server's disk at the time. */
  databaseBytes: z.number().int().nonnegative(),
  roles: z.array(z.string()),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  /** The file beside it with the server's roles and tablespaces. Null in manifests written before there was one. */
  globals: z
    .object({
      file: z.string().regex(/^budgie_\d{8}_\d{6}\.globals\.sql$/),
      bytes: z.number().int().nonnegative(),
      sha256,
      /** Whether the roles' passwords are in it, hashed. */
      rolePasswords: z.boolean(),
    })
    .nullable()
    .default(null),
  /** The longest row of table data. Missing in manifests written before it was measured. */
  longestRow: z.object({ table: z.string(), bytes: z.number().int() }).nullable().optional(),
  /** How money is written in the dump. Missing in older ones: as the server writes it. */
  lcMonetary: z.string().optional(),
  /** What its costliest row takes of a server's memory, in bytes; null: none takes much. Older manifests lack it. */
  costliestRow: z
    .object({
      table: z.string(),
      /** In the text of COPY, about. */
      bytes: z.number().nonnegative(),
      dumping: z.number().nonnegative(),
      loading: z.number().nonnegative(),
    })
    .nullable()
    .optional(),
  /**
   * Where in the WAL it belongs: see server/shared-snapshot.ts. Null: where something was always being committed. Missing without point
   * in time, and in older manifests.
   */
  walPosition: z
    .object({
      timeline: z.number().int().positive(),
      lsn: z.string().regex(/^[0-9A-F]+\/[0-9A-F]+$/i),
      quiet: z.boolean(),
    })
    .nullable()
    .optional(),
  /** The version of the project whose agent took it, and the backend that ran last by then. Older manifests lack the two. */
  stackVersion: z.string().nullable().optional(),
  backendImage: backendImage.nullable().optional(),
  tables: z.array(z.object({ name: z.string(), copy: z.string(), rows: z.number().int(), sha256 })),
  /** Null: not sent, or not known to have arrived. Manifests written before there were copies lack the two. */
  offsite: offsiteCopy.nullable().default(null),
  offsiteSsh: sshCopy.nullable().default(null),
  /** Of all of the above, with the stack's key: see `mac.ts`. Null in manifests written before there was one. */
  mac: z.string().nullable().default(null),
});

export type OffsiteCopy = z.infer<typeof offsiteCopy>;
export type SshCopy = z.infer<typeof sshCopy>;

/** The record beside every backup. It is written last: a backup without one was never reported as taken. */
export type Manifest = z.infer<typeof manifest>;

export function readManifest(path: string): Promise<RecordReading<Manifest>> {
  return readRecord(manifest, path);
}

export function parseManifest(text: string): RecordReading<Manifest> {
  return parseRecord(manifest, text);
}

/** The manifest of a backup in the backup directory as it is now. Throws when there is none that can be read. */
export async function manifestOf({ backupDir }: { backupDir: string }, file: string): Promise<Manifest> {
  const reading = await readManifest(join(backupDir, manifestName(file) ?? file));
  if (reading.found) return reading.record;
  throw new Error(`the manifest of ${file} cannot be read: ${reading.detail}`);
}

/** As it lies beside its backup. */
export function manifestText(manifest: Manifest): string {
  return readableText(manifest);
}

export function totalRows(tables: readonly { rows: number }[]): number {
  return tables.reduce((sum, table) => sum + table.rows, 0);
}
