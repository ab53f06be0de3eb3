import { shownPlace } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { type CatalogueEntry, listBackups } from "../catalogue/catalogue.ts";
import { copyIn } from "../copies/store-copy.ts";
import type { Manifest, Reason } from "../manifest/manifest.ts";
import { totalRows } from "../manifest/manifest.ts";
import { judgeAll } from "../retention/prune.ts";

/** A backup as it is shown: without its tables, of which thousands of backups would take much memory. */
export interface ShownBackup {
  name: string;
  /** When it was begun; null where nothing says so. */
  at: string | null;
  reason: Reason | null;
  bytes: number;
  /** How long it took; null where that is not known. */
  seconds: number | null;
  tables: number | null;
  rows: number | null;
  /** `bad` also stands for what does not count as a backup. */
  proof: "proven" | "unproven" | "bad";
  /** Why it is bad. */
  why: string | null;
  provenAt: string | null;
  provenSeconds: number | null;
  pinned: boolean;
  /** One for each place that is to have it; `at` is null where it is not known to be there. */
  copies: { place: string; at: string | null }[];
  /** Whether the next pruning leaves it, and why. */
  stays: boolean;
  reasonToStay: string;
}

/** Every backup in the directory, newest first. */
export async function shownBackups(settings: AgentSettings, now = new Date()): Promise<ShownBackup[]> {
  const entries = await listBackups(settings);
  const verdicts = new Map((await judgeAll(settings, now)).map(verdict => [verdict.name, verdict]));
  return entries.map(entry => {
    const verdict = verdicts.get(entry.name);
    return {
      ...shownEntry(entry),
      pinned: entry.pin !== null,
      copies: entry.manifest ? copiesOf(settings, entry.manifest) : [],
      stays: verdict?.keep ?? true,
      reasonToStay: verdict?.reason ?? "",
    };
  });
}

function shownEntry({ name, bytes, manifest, drill, flaw }: CatalogueEntry) {
  const good = drill !== null && drill !== "unreadable" && drill.outcome === "good" ? drill : null;
  return {
    name,
    at: manifest?.startedAt ?? null,
    reason: manifest?.reason ?? null,
    bytes,
    seconds: manifest && (Date.parse(manifest.finishedAt) - Date.parse(manifest.startedAt)) / 1000,
    tables: manifest === null ? null : manifest.tables.length,
    rows: manifest && totalRows(manifest.tables),
    proof: flaw !== null ? ("bad" as const) : good ? ("proven" as const) : ("unproven" as const),
    why: flaw,
    provenAt: good?.at ?? null,
    provenSeconds: good?.seconds ?? null,
  };
}

function copiesOf({ offsite, ssh }: AgentSettings, manifest: Manifest): ShownBackup["copies"] {
  const copies: ShownBackup["copies"] = [];
  if (offsite) {
    const store = { shown: shownPlace(offsite), prefix: offsite.prefix };
    copies.push({ place: store.shown, at: copyIn(store, manifest)?.listedAt ?? null });
  }
  if (ssh) {
    const sent = manifest.offsiteSsh?.target === ssh.target ? manifest.offsiteSsh.at : null;
    copies.push({ place: ssh.target, at: sent });
  }
  return copies;
}
