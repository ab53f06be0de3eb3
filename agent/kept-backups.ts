import { type CatalogueEntry, listBackups } from "./catalogue.ts";
import { drillFlaw } from "./drill-record.ts";
import type { KeptBackup, Proof } from "./judged-backup.ts";
import type { Manifest } from "./manifest.ts";
import { shownPlace } from "./object-store.ts";
import { readPin } from "./pin-file.ts";
import type { AgentSettings } from "./settings.ts";
import { copyIn } from "./store-copy.ts";

/** The catalogue as retention looks at it, newest first. */
export async function listKept(settings: AgentSettings): Promise<KeptBackup[]> {
  const entries = await listBackups(settings);
  return Promise.all(
    entries.map(async entry => ({
      name: entry.name,
      manifest: entry.manifest,
      flaw: flawApartFromDrill(entry),
      proven: proofOf(entry),
      pin: await readPin(settings, entry.name),
      lacksCopyIn: entry.manifest ? lackingPlaces(settings, entry.manifest) : [],
    })),
  );
}

/** A record that cannot be read stays a flaw: whether the backup is good or bad is not known, so it is left alone. */
function flawApartFromDrill({ flaw, drill }: CatalogueEntry): string | null {
  return drill !== "unreadable" && flaw === drillFlaw(drill) ? null : flaw;
}

function proofOf({ drill }: CatalogueEntry): Proof | null {
  return drill === null || drill === "unreadable" ? null : { at: drill.at, outcome: drill.outcome };
}

/** The places that the stack has now and that no record says have a copy: only what is known to be there is there. */
function lackingPlaces({ offsite, ssh }: AgentSettings, manifest: Manifest): string[] {
  const lacking: string[] = [];
  if (offsite) {
    const store = { shown: shownPlace(offsite), prefix: offsite.prefix };
    if (!copyIn(store, manifest)?.listedAt) lacking.push(store.shown);
  }
  if (ssh && manifest.offsiteSsh?.target !== ssh.target) lacking.push(ssh.target);
  return lacking;
}
