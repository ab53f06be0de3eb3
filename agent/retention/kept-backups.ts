import { shownPlace } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { type CatalogueEntry, listBackups } from "../catalogue/catalogue.ts";
import { drillFlaw } from "../catalogue/drill-record.ts";
import type { KeptBackup, Proof } from "../catalogue/judged-backup.ts";
import { copyIn } from "../copies/store-copy.ts";
import type { Manifest } from "../manifest/manifest.ts";

/** The catalogue as retention looks at it, newest first. */
export async function listKept(settings: AgentSettings): Promise<KeptBackup[]> {
  return (await listBackups(settings)).map(entry => ({
    name: entry.name,
    manifest: entry.manifest,
    flaw: flawApartFromDrill(entry),
    proven: proofOf(entry),
    pin: entry.pin,
    lacksCopyIn: entry.manifest ? lackingPlaces(settings, entry.manifest) : [],
  }));
}

/** A drill record that cannot be read stays a flaw: nobody knows whether the backup is good, so it is left alone. */
function flawApartFromDrill({ flaw, drill }: CatalogueEntry): string | null {
  return drill !== "unreadable" && flaw === drillFlaw(drill) ? null : flaw;
}

function proofOf({ drill }: CatalogueEntry): Proof | null {
  return drill === null || drill === "unreadable" ? null : { at: drill.at, outcome: drill.outcome };
}

/** The places of the stack that have no copy by the records: a copy that is not known to be there does not count. */
function lackingPlaces({ offsite, ssh }: AgentSettings, manifest: Manifest): string[] {
  const lacking: string[] = [];
  if (offsite) {
    const store = { shown: shownPlace(offsite), prefix: offsite.prefix };
    if (!copyIn(store, manifest)?.listedAt) lacking.push(store.shown);
  }
  if (ssh && manifest.offsiteSsh?.target !== ssh.target) lacking.push(ssh.target);
  return lacking;
}
