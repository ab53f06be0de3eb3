import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type BaseRecord, textOfBaseRecord } from "./base-record.ts";
import { baseKeys, segmentKey } from "./chain-keys.ts";
import { readSent, saveSent, unsentBases, unsentSegments } from "./chain-sent.ts";
import { damaged } from "./chain-source.ts";
import { ENCRYPTED, encryptedText } from "./encryption.ts";
import { type ObjectStore, openWriter, shownPlace } from "./object-store.ts";
import { type Reporter, silentProgress } from "./reporter.ts";
import type { AgentSettings, OffsiteSettings } from "./settings.ts";
import { putText, upload } from "./upload.ts";
import { baseFolder, type Chain, listChains, readChain, walFolder } from "./wal-chain.ts";
import type { SealedSegment } from "./wal-segment.ts";

/** Segments come often, and a note of each costs two flushes of the disk: what a kill makes forget is found there again. */
const NOTED_EVERY = 20;

/**
 * Sends what the store lacks of every chain: segments in their order, then base backups, whose records come last. With the agent's
 * own credentials, which may only put. A kill at any moment leaves there nothing that counts and is not whole. Throws a Stop.
 */
export async function sendChains(
  settings: AgentSettings,
  offsite: OffsiteSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  let store: ObjectStore | null = null;
  for (const chain of await listChains(settings)) {
    const content = await readChain(chain);
    const known = await readSent(chain, shownPlace(offsite));
    const segments = unsentSegments(content, known);
    const bases = unsentBases(content, known);
    if (segments.length + bases.length === 0) continue;
    store ??= await openWriter(offsite);
    for (const [index, segment] of segments.entries()) {
      await sendSegment(settings, store, chain, segment, signal);
      known.segment = segment.segment;
      if (index % NOTED_EVERY === NOTED_EVERY - 1) await saveSent(chain, known);
    }
    await saveSent(chain, known);
    for (const base of bases) {
      await sendBase(settings, store, chain, base, report, signal);
      known.bases.push(base.name);
      await saveSent(chain, known);
    }
  }
}

async function sendSegment(
  { recipients }: AgentSettings,
  store: ObjectStore,
  chain: Chain,
  segment: SealedSegment,
  signal: AbortSignal,
): Promise<void> {
  const path = join(walFolder(chain), segment.file);
  const bytes = await readFile(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (!sha256.startsWith(segment.hash)) throw damaged(`${segment.file} is corrupt, and is not sent`);
  const file = { path, shown: segment.file, bytes: bytes.length, sha256 };
  const key = sentAs(segmentKey(store.prefix, chain.name, segment), recipients);
  await upload(store, key, file, silentProgress, signal, recipients);
}

/** Encrypted, a key holds the hash of what was encrypted, as a backup's does. */
function sentAs(key: string, recipients: readonly string[]): string {
  return recipients.length > 0 ? `${key}${ENCRYPTED}` : key;
}

async function sendBase(
  settings: AgentSettings,
  store: ObjectStore,
  chain: Chain,
  base: BaseRecord,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const { recipients } = settings;
  const keys = baseKeys(store.prefix, chain.name, base);
  for (const { name, bytes, sha256 } of base.files) {
    const path = join(baseFolder(chain), name);
    const progress = report.progress("sending", bytes);
    const key = sentAs(keys.of(name), recipients);
    await upload(store, key, { path, shown: name, bytes, sha256 }, progress, signal, recipients).finally(() =>
      progress.end(),
    );
  }
  const text = textOfBaseRecord(base);
  const record = recipients.length > 0 ? await encryptedText(recipients, text) : text;
  await putText(store, sentAs(keys.record, recipients), record);
  report.done(`The base backup ${base.name} of ${settings.database} is in ${store.shown} too`);
}
