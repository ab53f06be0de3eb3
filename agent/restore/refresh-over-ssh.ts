import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { SshSettings } from "../../shared/agent-settings.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import { decrypted } from "../encryption/decrypt.ts";
import { isBackupName } from "../manifest/backup-name.ts";
import { type Manifest, parseManifest } from "../manifest/manifest.ts";
import { type SshConnection, withSshConnection } from "../ssh/connection.ts";
import { listFolder } from "../ssh/folder.ts";
import { isListed, type Listing } from "../ssh/missing.ts";
import { receive } from "../ssh/transfer.ts";
import { isEncryptedName } from "../store/fetch-content.ts";
import { encryptedKeys, parseObjectName } from "../store/object-key.ts";
import { ageOf, type ChosenBackup, whyNotTaken } from "./refresh-choice.ts";

/** A manifest grows with the number of tables, by some 300 bytes each. Anything larger is no manifest. */
const LARGEST_MANIFEST = 16 * 1024 * 1024;

interface There {
  connection: SshConnection;
  listing: Listing;
  identities: readonly string[];
}

/**
 * Runs `work` with the newest whole backup of another stack that is in a folder over ssh. As in a bucket, nobody says there what a drill has
 * proven. The connection stays until `work` is done. Throws a Stop.
 */
export async function withNewestOverSsh<T>(
  server: SshSettings,
  { fromStack, identities }: { fromStack: string; identities: readonly string[] },
  report: Reporter,
  work: (chosen: ChosenBackup) => Promise<T>,
): Promise<T> {
  return withSshConnection(server, async connection => {
    const there = { connection, listing: await listFolder(connection), identities };
    const manifest = await newestOf(there, fromStack, new Date());
    report.info(
      `The newest backup of ${fromStack} in ${server.target} is ${manifest.file}, of ${ageOf(manifest)} ago; whether it can be restored shows now`,
    );
    const name = there.listing.has(manifest.file) ? manifest.file : encryptedKeys("", manifest).dump;
    const bytes = there.listing.get(name) ?? 0;
    const content = Readable.from(receive(connection, name, bytes), { objectMode: false });
    return work({
      source: "-",
      shown: `${server.target}/${name}`,
      reader: null,
      contentSha256: manifest.contentSha256,
      incoming: { content, identities },
    });
  });
}

async function newestOf(there: There, fromStack: string, now: Date): Promise<Manifest> {
  const { target } = there.connection.settings;
  let why = "";
  for (const name of manifestNames(there.listing)) {
    const manifest = await readManifestThere(there, name);
    const flaw =
      manifest === null ? "its manifest cannot be read" : whyNot(manifest, there.listing, fromStack, now);
    if (manifest !== null && flaw === null) return manifest;
    if (why === "") why = `; the newest, ${name}, cannot: ${flaw}`;
  }
  throw refuse(
    `There is no backup of stack ${fromStack} in ${target} that can be taken${why}`,
    `See what that stack has sent: npx budgie --stack ${fromStack} status`,
  );
}

/** Newest first. */
function manifestNames(listing: Listing): string[] {
  const isManifest = (name: string) =>
    isBackupName(name.replace(/\.json$/, ".sql"))
      ? name.endsWith(".json")
      : parseObjectName(name)?.kind === "json";
  return [...listing.keys()].filter(isManifest).sort().reverse();
}

/** Null for what is no manifest. Throws a Stop for one that the given key does not open: then it is not known which is the newest. */
async function readManifestThere(
  { connection, listing, identities }: There,
  name: string,
): Promise<Manifest | null> {
  const bytes = listing.get(name) ?? 0;
  if (bytes > LARGEST_MANIFEST) return null;
  const sent = receive(connection, name, bytes);
  const shown = `${connection.settings.target}/${name}`;
  const content = isEncryptedName(name) ? decrypted(sent, identities, shown) : sent;
  const reading = parseManifest((await buffer(content)).toString());
  return reading.found ? reading.record : null;
}

function whyNot(manifest: Manifest, listing: Listing, stack: string, now: Date): string | null {
  const why = whyNotTaken({ manifest, flaw: null }, stack, now);
  if (why !== null) return why;
  return isListed(manifest, listing) ? null : "its dump is not there, or was not sent to its end";
}
