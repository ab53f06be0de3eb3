import type { ObjectStore } from "../../object-store/client.ts";
import type { CopiesFrom } from "../../shared/copies-places.ts";
import { isStateName } from "../../shared/kept-state.ts";
import { decrypted } from "../encryption/decrypt.ts";
import { isBackupName } from "../manifest/backup-name.ts";
import type { Manifest } from "../manifest/manifest.ts";
import type { SshConnection } from "../ssh/connection.ts";
import { listFolder } from "../ssh/folder.ts";
import { receive } from "../ssh/transfer.ts";
import type { RemoteFile } from "../store/download.ts";
import { fetchContent, isEncryptedName } from "../store/fetch-content.ts";
import { encryptedKeys, type ObjectName, objectKeys, parseObjectName } from "../store/object-key.ts";
import { listObjects, type RemoteObject } from "../store/remote-objects.ts";

/** Where copies of backups lie, for reading: the bucket, or the folder over ssh. */
export interface CopiesPlace {
  /** What an operator types behind `--from`. */
  from: CopiesFrom;
  /** `aws/budgie-backups`, `backup@nas:/srv/budgie`: as messages name it. */
  shown: string;
  /** What the keys of this stack begin with. */
  prefix: string;
  /** The private keys that open what is encrypted there. */
  identities: readonly string[];
  /** Everything that is there, by name. Throws a Stop. */
  list(): Promise<RemoteObject[]>;
  /** What is under a key, opened where it is encrypted. Throws a Stop. */
  content(file: RemoteFile): AsyncGenerator<Buffer>;
  /** What a name says; null for one that nothing of a backup has. */
  parseName(name: string): ObjectName | null;
  /** The key that a backup's dump has there. */
  keyOf(manifest: Manifest, encrypted: boolean): string;
  /** What a manifest records of a copy that was found there. */
  record(found: {
    key: string;
    etag: string | null;
    at: string;
    listedAt: string;
  }): Partial<Pick<Manifest, "offsite" | "offsiteSsh">>;
}

export function inBucket(store: ObjectStore): CopiesPlace {
  const { shown, prefix, identities } = store;
  return {
    from: "s3",
    shown,
    prefix,
    identities,
    list: () => listObjects(store),
    content: file => fetchContent(store, file),
    parseName: parseObjectName,
    keyOf: (manifest, encrypted) => (encrypted ? encryptedKeys : objectKeys)(prefix, manifest).dump,
    record: found => ({ offsite: { store: shown, versionId: null, ...found } }),
  };
}

/** For as long as the connection lives. What is not encrypted has the same names there as in the backup directory. */
export function overSsh(connection: SshConnection, identities: readonly string[]): CopiesPlace {
  const { target } = connection.settings;
  return {
    from: "ssh",
    shown: target,
    prefix: "",
    identities,
    list: async () => [...(await listFolder(connection))].flatMap(([name, bytes]) => fileOf(name, bytes)),
    content: ({ key, bytes }) => {
      const sent = receive(connection, key, bytes);
      return isEncryptedName(key) ? decrypted(sent, identities, `${target}/${key}`) : sent;
    },
    parseName: name => parseObjectName(name) ?? parsePlainName(name),
    keyOf: (manifest, encrypted) => (encrypted ? encryptedKeys("", manifest).dump : manifest.file),
    record: ({ at }) => ({ offsiteSsh: { target, at } }),
  };
}

/** Hidden files are those of copies under way. The stack's state is there as well, and is no backup. */
function fileOf(name: string, bytes: number): RemoteObject[] {
  if (name.startsWith(".") || isStateName(name.replace(/\.age$/, ""))) return [];
  return [{ key: name, name, bytes, etag: null, at: null, storageClass: "STANDARD" }];
}

const PLAIN = /^(budgie_\d{8}_\d{6})\.(.+)$/;

function parsePlainName(name: string): ObjectName | null {
  const [, stem, ending] = PLAIN.exec(name) ?? [];
  if (!stem || !ending) return null;
  if (ending !== "json" && ending !== "globals.sql" && !isBackupName(name)) return null;
  return { pair: stem, stem, kind: ending as ObjectName["kind"] };
}
