import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { z } from "zod";
import { openWriter, shownPlace } from "../../object-store/client.ts";
import type { AgentSettings, OffsiteSettings, SshSettings } from "../../shared/agent-settings.ts";
import { sha256Of } from "../base/hashing.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { type Reporter, silentProgress } from "../base/reporter.ts";
import { ENCRYPTED, encryptedText } from "../encryption/encrypt.ts";
import { withSshConnection } from "../ssh/connection.ts";
import { ensureFolder } from "../ssh/folder.ts";
import { putNew } from "../ssh/new-file.ts";
import { upload } from "../store/upload.ts";
import { keptStates, stateFolder, stateName } from "./keep.ts";

const sentTo = z.object({ place: z.string(), name: z.string(), at: z.iso.datetime() }).nullable();
const sent = z.object({ store: sentTo.default(null), ssh: sentTo.default(null) });
type Sent = z.infer<typeof sent>;

/** A bucket's lifecycle removes what is old. A stack that nobody changes for months has its state there all the same. */
const AGAIN_AFTER_MS = 7 * 24 * 3_600_000;

/** Sends the newest state to the bucket where it is not known to be there, and once a week. Throws a Stop. */
export async function sendStateToStore(
  settings: AgentSettings,
  offsite: OffsiteSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const newest = (await keptStates(settings)).at(-1);
  const known = await readSent(settings);
  const place = shownPlace(offsite);
  if (newest === undefined || isSent(known.store, place, newest, AGAIN_AFTER_MS)) return;
  const store = await openWriter(offsite);
  const path = join(stateFolder(settings), newest);
  const content = await readFile(path);
  const now = new Date();
  const ending = settings.recipients.length > 0 ? ENCRYPTED : "";
  const key = `${store.prefix}state/${stateName(now, content)}${ending}`;
  const file = { path, shown: newest, bytes: content.length, sha256: sha256Of(content) };
  await upload({ settings, store, report, signal }, key, file, silentProgress);
  await saveSent(settings, { ...known, store: { place, name: newest, at: now.toISOString() } });
  report.done(`The stack's state is in ${store.shown} too: ${key}`);
}

/** Sends the newest state to the other server where it is not known to be there. Nothing is ever removed there. Throws a Stop. */
export async function sendStateBySsh(
  settings: AgentSettings,
  ssh: SshSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const newest = (await keptStates(settings)).at(-1);
  const known = await readSent(settings);
  if (newest === undefined || isSent(known.ssh, ssh.target, newest)) return;
  const text = await readFile(join(stateFolder(settings), newest));
  const { recipients, stack } = settings;
  const content = recipients.length > 0 ? await encryptedText(recipients, text) : text;
  const now = new Date();
  const name = `${stateName(now, text)}${recipients.length > 0 ? ENCRYPTED : ""}`;
  await withSshConnection(
    ssh,
    async connection => {
      await ensureFolder(connection);
      const sha256 = () => sha256Of(content);
      await putNew(connection, {
        name,
        stack,
        bytes: content.length,
        sha256,
        content: Readable.from([content]),
      });
    },
    signal,
  );
  await saveSent(settings, { ...known, ssh: { place: ssh.target, name: newest, at: now.toISOString() } });
  report.done(`The stack's state is at ${ssh.target} too: ${name}`);
}

function isSent(
  known: Sent["store"],
  place: string,
  name: string,
  withinMs = Number.POSITIVE_INFINITY,
): boolean {
  if (known?.place !== place || known.name !== name) return false;
  return Date.now() - Date.parse(known.at) < withinMs;
}

/** What cannot be read is sent again. */
async function readSent(settings: AgentSettings): Promise<Sent> {
  const reading = await readRecord(sent, sentPath(settings));
  return reading.found ? reading.record : { store: null, ssh: null };
}

function saveSent(settings: AgentSettings, known: Sent): Promise<void> {
  return writeRecord(sentPath(settings), known);
}

function sentPath(settings: AgentSettings): string {
  return join(stateFolder(settings), ".sent.json");
}
