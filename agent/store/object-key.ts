import { type BackupFormat, FORMAT_PATTERN } from "../../shared/backup-format.ts";
import { ENCRYPTED } from "../encryption/encrypt.ts";
import { manifestName } from "../manifest/backup-name.ts";
import type { Manifest } from "../manifest/manifest.ts";

/** So many digits of a SHA-256 that two backups never share them. */
const DIGITS = 12;

const OBJECT = new RegExp(
  `^(budgie_\\d{8}_\\d{6})-([0-9a-f]{12})\\.(${FORMAT_PATTERN}|globals\\.sql|json)(\\.age)?$`,
);
const DUMP_ENDING = new RegExp(`\\.(${FORMAT_PATTERN})(\\.age)?$`);

/** The objects of a backup: the dump, the roles beside it, and the manifest that makes it count. */
export interface ObjectKeys {
  dump: string;
  globals: string;
  manifest: string;
}

/**
 * `dev/budgie_20261122_140000-4f2a9c01d3e7.sql`: the name, and the beginning of the content's SHA-256. The agent may put but not
 * read. So when an answer was lost and the next try finds the key taken, the key alone must say what has it.
 */
export function objectKeys(
  prefix: string,
  { file, sha256 }: Pick<Manifest, "file" | "sha256">,
  ending: "" | typeof ENCRYPTED = "",
): ObjectKeys {
  const stem = (manifestName(file) ?? file).replace(/\.json$/, "");
  const hashed = `${prefix}${stem}-${sha256.slice(0, DIGITS)}`;
  return {
    dump: `${hashed}${file.slice(stem.length)}${ending}`,
    globals: `${hashed}.globals.sql${ending}`,
    manifest: `${hashed}.json${ending}`,
  };
}

/**
 * The same keys with `.age`, for encrypted objects. They hold the hash of what was encrypted, because its encryption is another one
 * at each try. docs/decisions/0009 says why what is found under such a key counts.
 */
export function encryptedKeys(prefix: string, manifest: Pick<Manifest, "file" | "sha256">): ObjectKeys {
  return objectKeys(prefix, manifest, ENCRYPTED);
}

/** What an object's name says, without its prefix. */
export interface ObjectName {
  /** What a dump and its manifest share: `budgie_20261122_140000-4f2a9c01d3e7`. */
  pair: string;
  /** The backup's name without its ending. */
  stem: string;
  kind: BackupFormat | "globals.sql" | "json";
}

/** Null for a name that no object of a backup has. */
export function parseObjectName(name: string): ObjectName | null {
  const [, stem, hash, kind] = OBJECT.exec(name) ?? [];
  if (!stem || !hash || !kind) return null;
  return { pair: `${stem}-${hash}`, stem, kind: kind as ObjectName["kind"] };
}

/** The key of the manifest beside a dump in any bucket. Null where the dump's ending is not known. */
export function manifestKeyBeside(dumpKey: string): string | null {
  const key = dumpKey.replace(DUMP_ENDING, ".json$2");
  return key === dumpKey ? null : key;
}
