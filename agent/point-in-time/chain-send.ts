import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ObjectStore, openWriter, shownPlace } from "../../object-store/client.ts";
import type { AgentSettings, OffsiteSettings } from "../../shared/agent-settings.ts";
import { sha256Of } from "../base/hashing.ts";
import { type Reporter, silentProgress } from "../base/reporter.ts";
import { ENCRYPTED, encryptedText } from "../encryption/encrypt.ts";
import { putText, type Sending, upload } from "../store/upload.ts";
import { soundPart } from "./at-rest.ts";
import { type BaseRecord, textOfBaseRecord } from "./base-record.ts";
import { baseKeys, segmentKey } from "./chain-keys.ts";
import { readSent, saveSent, unsentBases, unsentSegments } from "./chain-sent.ts";
import { damaged } from "./chain-source.ts";
import { readLooks } from "./looks.ts";
import { baseFolder, type Chain, listChains, readChain, walFolder } from "./wal-chain.ts";
import type { SealedSegment } from "./wal-segment.ts";

/** Segments come often, and each note costs two flushes of the disk. What a kill makes the agent forget is found in the store again. */
const NOTED_EVERY = 20;

/**
 * Sends what the store lacks of every chain: segments in their order, then base backups, whose records come last. What is known to be
 * damaged is passed over: it would hold up all that comes after it. It uses the agent's own credentials, which may only put. At any kill
 * the store holds nothing that counts and is not whole. Throws a Stop.
 */
export async function sendChains(
  settings: AgentSettings,
  offsite: OffsiteSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  let store: ObjectStore | null = null;
  for (const chain of await listChains(settings)) {
    const content = soundPart(await readChain(chain), await readLooks(settings));
    const known = await readSent(chain, shownPlace(offsite));
    const segments = unsentSegments(content, known);
    const bases = unsentBases(content, known);
    if (segments.length + bases.length === 0) continue;
    store ??= await openWriter(offsite);
    const sending = { settings, store, report, signal };
    for (const [index, segment] of segments.entries()) {
      await sendSegment(sending, chain, segment);
      known.segment = segment.segment;
      if (index % NOTED_EVERY === NOTED_EVERY - 1) await saveSent(chain, known);
    }
    await saveSent(chain, known);
    for (const base of bases) {
      await sendBase(sending, chain, base);
      known.bases.push(base.name);
      await saveSent(chain, known);
    }
  }
}

async function sendSegment(sending: Sending, chain: Chain, segment: SealedSegment): Promise<void> {
  const { settings, store } = sending;
  const path = join(walFolder(chain), segment.file);
  const bytes = await readFile(path);
  const sha256 = sha256Of(bytes);
  if (!sha256.startsWith(segment.hash)) throw damaged(`${segment.file} is corrupt, and is not sent`);
  const file = { path, shown: segment.file, bytes: bytes.length, sha256 };
  const key = sentAs(segmentKey(store.prefix, chain.name, segment), settings.recipients);
  await upload(sending, key, file, silentProgress);
}

/** The key of an encrypted object holds the hash of what was encrypted, as a backup's does. */
function sentAs(key: string, recipients: readonly string[]): string {
  return recipients.length > 0 ? `${key}${ENCRYPTED}` : key;
}

async function sendBase(sending: Sending, chain: Chain, base: BaseRecord): Promise<void> {
  const { settings, store, report } = sending;
  const { recipients } = settings;
  const keys = baseKeys(store.prefix, chain.name, base);
  for (const { name, bytes, sha256 } of base.files) {
    const path = join(baseFolder(chain), name);
    const progress = report.progress("sending", bytes);
    const key = sentAs(keys.of(name), recipients);
    const file = { path, shown: name, bytes, sha256 };
    await upload(sending, key, file, progress).finally(() => progress.end());
  }
  const text = textOfBaseRecord(base);
  const record = recipients.length > 0 ? await encryptedText(recipients, text) : text;
  await putText(store, sentAs(keys.record, recipients), record);
  report.done(`The base backup ${base.name} of ${settings.database} is in ${store.shown} too`);
}
