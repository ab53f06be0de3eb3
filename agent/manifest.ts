import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { manifestName } from "./backup-name.ts";

export const REASONS = ["scheduled", "manual", "before-change", "before-destroy", "before-restore"] as const;
export type Reason = (typeof REASONS)[number];

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

/** Where a backup lies on a server that was reached over ssh. */
const sshCopy = z.object({ target: z.string(), at: z.iso.datetime() });

const manifest = z.object({
  format: z.literal(1),
  file: z.string(),
  stack: z.string(),
  database: z.string(),
  /** PostgreSQL's own identity of the cluster, as a decimal string: it does not fit a JSON number. */
  systemIdentifier: z.string().regex(/^\d+$/),
  /** `unexpected`: taken of a database that was not the one this stack's backups came from. Never the latest. */
  identity: z.enum(["known", "unexpected"]),
  serverVersion: z.string(),
  pgDumpVersion: z.string(),
  reason: z.enum(REASONS),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** Size and sha256 of the file as it lies in the backup directory. */
  bytes: z.number().int().nonnegative(),
  sha256,
  /** Size of the SQL inside it, and what names that content: the SQL's sha256, an archive's own. */
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
  tables: z.array(z.object({ name: z.string(), copy: z.string(), rows: z.number().int(), sha256 })),
  /** Null: not sent, or not known to have arrived. Manifests written before there were copies lack the two. */
  offsite: offsiteCopy.nullable().default(null),
  offsiteSsh: sshCopy.nullable().default(null),
});

export type OffsiteCopy = z.infer<typeof offsiteCopy>;
export type SshCopy = z.infer<typeof sshCopy>;

/** The record beside every backup. It is written last: a backup without one was never reported as taken. */
export type Manifest = z.infer<typeof manifest>;

export type ManifestReading =
  | { found: true; manifest: Manifest }
  | { found: false; why: "absent" | "unreadable"; detail: string };

export async function readManifest(path: string): Promise<ManifestReading> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === "ENOENT";
    return { found: false, why: absent ? "absent" : "unreadable", detail: (error as Error).message };
  }
  return parseManifest(text);
}

/** The manifest of a backup in the backup directory as it is now. Throws when there is none that can be read. */
export async function manifestOf({ backupDir }: { backupDir: string }, file: string): Promise<Manifest> {
  const reading = await readManifest(join(backupDir, manifestName(file) ?? file));
  if (reading.found) return reading.manifest;
  throw new Error(`the manifest of ${file} cannot be read: ${reading.detail}`);
}

export function parseManifest(text: string): ManifestReading {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { found: false, why: "unreadable", detail: "it is not JSON" };
  }
  const parsed = manifest.safeParse(json);
  if (parsed.success) return { found: true, manifest: parsed.data };
  const first = parsed.error.issues[0];
  return { found: false, why: "unreadable", detail: `${first?.path.join(".")}: ${first?.message}` };
}

export function totalRows(tables: readonly { rows: number }[]): number {
  return tables.reduce((sum, table) => sum + table.rows, 0);
}
