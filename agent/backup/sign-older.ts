import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { replaceFile } from "../base/durable-file.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import { untilAnswered } from "../base/until.ts";
import {
  type FirstSigning,
  manifestSha256,
  saveFirstSigning,
  startFirstSigning,
} from "../catalogue/first-signing.ts";
import { hashContent } from "../dump/content-hash.ts";
import { manifestName } from "../manifest/backup-name.ts";
import { readManifestKey } from "../manifest/key.ts";
import { type ManifestKey, signed } from "../manifest/mac.ts";
import { type Manifest, manifestText, parseManifest } from "../manifest/manifest.ts";
import { readServerFacts } from "../server/connection.ts";
import { requireGlobals } from "./globals.ts";

const ASK_AGAIN_MS = 60_000;

type Listed = FirstSigning["toSign"][number];

interface Signing {
  settings: AgentSettings;
  key: ManifestKey;
  /** PostgreSQL's identity of the server that is there. */
  systemIdentifier: string;
  report: Reporter;
  signal: AbortSignal;
}

/**
 * Signs, once, the manifests that were written before the stack had a key. Each must be of the database that is there, and its
 * file, read to the end, must be what the manifest says. A kill at any moment leaves each manifest as it was or signed, and the
 * next start goes on. A manifest of another database waits for a start at which that database is there. Never throws.
 */
export async function signOlderManifests(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  try {
    const key = await readManifestKey(settings);
    const state = await startFirstSigning(settings, key);
    if (state.toSign.length === 0) return;
    const systemIdentifier = await untilAnswered(() => liveSystem(settings), ASK_AGAIN_MS, signal);
    const left: Listed[] = [];
    for (const listed of state.toSign)
      if (!(await sign({ settings, key, systemIdentifier, report, signal }, listed))) left.push(listed);
    if (left.length < state.toSign.length) await saveFirstSigning(settings, key, { ...state, toSign: left });
  } catch (error) {
    if (!signal.aborted) report.warn(`Signing the older manifests: ${(error as Error).message}`);
  }
}

/** PostgreSQL's identity of the server; null while it does not answer. */
function liveSystem(settings: AgentSettings): Promise<string | null> {
  return readServerFacts(settings).then(
    ({ systemIdentifier }) => systemIdentifier,
    () => null,
  );
}

/** Returns whether this one is finished: it is signed, or never will be. */
async function sign(
  { settings, key, systemIdentifier, report, signal }: Signing,
  listed: Listed,
): Promise<boolean> {
  const { name } = listed;
  const manifest = await asListed(settings, listed);
  if (!manifest) return true;
  if (manifest.systemIdentifier !== systemIdentifier) {
    report.info(
      `The manifest of ${name} is not signed yet: it is of another database than the one that is there`,
    );
    return false;
  }
  try {
    await requireAsRecorded(settings, name, manifest, signal);
    if (!(await asListed(settings, listed))) return true;
    const path = join(settings.backupDir, manifestName(name) as string);
    await replaceFile(path, manifestText(signed(key, manifest)));
    report.done(
      `Signed the manifest of ${name}, which was taken before this stack had a key: its file is as recorded`,
    );
    return true;
  } catch (error) {
    if (signal.aborted) throw error;
    report.warn(`The manifest of ${name} is not signed: ${(error as Error).message}`);
    return error instanceof Stop && error.code === EXIT.unusableBackup;
  }
}

/** The manifest, if it is still the one that was listed; null when it was signed, changed or removed since. */
async function asListed(
  settings: AgentSettings,
  { name, manifestSha256: expected }: Listed,
): Promise<Manifest | null> {
  if ((await manifestSha256(settings, name)) !== expected) return null;
  const reading = parseManifest(
    await readFile(join(settings.backupDir, manifestName(name) as string), "utf8"),
  );
  return reading.found ? reading.record : null;
}

async function requireAsRecorded(
  settings: AgentSettings,
  name: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> {
  const path = join(settings.backupDir, name);
  const shown = `${settings.backupDirShown}/${name}`;
  if ((await hashContent(path, shown, signal)) !== manifest.contentSha256)
    throw refuse(`${shown} is corrupt: its bytes are not those that its manifest recorded`);
  await requireGlobals(path, manifest);
}
