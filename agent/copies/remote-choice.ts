import { listCommand } from "../../shared/copies-places.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { chooseLatest, type Latest, type LatestQuestion } from "../catalogue/latest.ts";
import { noIdentity, WrongIdentity } from "../encryption/decrypt.ts";
import { isForeignOnly } from "../manifest/flaw.ts";
import { totalRows } from "../manifest/manifest.ts";
import type { CopiesPlace } from "./place.ts";
import { isWhole, OTHER_KEY, ofStack, type RemoteEntry, type WholeEntry } from "./remote-catalogue.ts";

/** What messages say of where the copies lie. */
type Named = Pick<CopiesPlace, "shown" | "from" | "prefix">;

/** The backup with this name, or with this key where two backups have the same name. Throws a Stop. */
export function findRemote(entries: readonly RemoteEntry[], which: string, place: Named): WholeEntry {
  const found = entries.filter(
    ({ name, key }) => name === which || key === which || key === place.prefix + which,
  );
  const whole = found.filter(isWhole);
  if (whole.length === 1 && whole[0]) return whole[0];
  if (whole.length > 1) {
    throw new Stop(
      EXIT.usage,
      `${whole.length} backups in ${place.shown} have the name ${which}: ${whole.map(({ key }) => key).join(", ")}.`,
      "Say which, by its key.",
    );
  }
  requireOpened(found, place);
  const flaw = found[0]?.flaw;
  throw new Stop(
    EXIT.unusableBackup,
    flaw
      ? `${which} in ${place.shown} cannot be used: ${flaw}.`
      : `There is no backup ${which} in ${place.shown}.`,
    `\`${listCommand(place.from)}\` shows what is there.`,
  );
}

/**
 * The newest backup that counts. Throws a Stop that names both when it is of another database than an older one and holds fewer
 * than half of its rows. Then the data may have been lost, and with it the key that the older backups are signed with, and the
 * empty database of a fresh machine has been backed up since.
 */
export function latestRemote(entries: readonly RemoteEntry[], place: Named): WholeEntry {
  const whole = entries.filter(isWhole);
  const newest = whole.find(({ flaw }) => flaw === null);
  const foreign = whole.filter(({ flaw }) => isForeignOnly(flaw));
  requireReadable(entries, newest, place);
  if (!newest && foreign[0]) throw foreignAlone(foreign[0], place);
  if (!newest) {
    throw new Stop(
      EXIT.unusableBackup,
      `There is no backup in ${place.shown} that counts.`,
      `\`${listCommand(place.from)}\` shows what is there, and why it does not.`,
    );
  }
  const before = whole.find(
    ({ manifest, flaw }) =>
      (flaw === null || isForeignOnly(flaw)) &&
      manifest.systemIdentifier !== newest.manifest.systemIdentifier,
  );
  if (!before) return newest;
  const [rows, rowsBefore] = [totalRows(newest.manifest.tables), totalRows(before.manifest.tables)];
  if (rows * 2 >= rowsBefore) return newest;
  throw new Stop(
    EXIT.anotherDatabase,
    `It is not clear which is the latest: ${newest.name} holds ${rows} rows, and ${before.name}, of another database before it, ${rowsBefore}.`,
    `Say which by its name: npx budgie restore ${before.name} --from ${place.from}`,
  );
}

/**
 * The newest backup that counts, of this stack or of `fromStack`, for a restore. Newer ones that do not count, and a fuller one,
 * come with it. Throws a Stop.
 */
export function latestRemoteToRestore(
  entries: readonly RemoteEntry[],
  place: Named,
  question: LatestQuestion,
): Latest<RemoteEntry> {
  const candidates = entries.map(asItsOwnStackSeesIt);
  const newest = candidates.filter(isWhole).find(({ flaw }) => flaw === null);
  requireReadable(candidates, newest, place);
  return chooseLatest(candidates, question);
}

/** That it is another stack's is the last flaw that is looked for, so it has no other. */
function asItsOwnStackSeesIt(entry: RemoteEntry): RemoteEntry {
  const { manifest, flaw } = entry;
  return manifest && flaw === ofStack(manifest.stack) ? { ...entry, flaw: null } : entry;
}

/** Throws a Stop when the given keys do not open a backup that may be newer than the newest. */
export function requireReadable(
  entries: readonly RemoteEntry[],
  newest: RemoteEntry | undefined,
  place: Named,
): void {
  requireOpened(entries, place);
  const sealed = entries.find(({ flaw }) => flaw === OTHER_KEY);
  if (sealed && (!newest || entries.indexOf(sealed) < entries.indexOf(newest)))
    throw new WrongIdentity(`${sealed.name} in ${place.shown}`);
}

function foreignAlone({ name, flaw }: WholeEntry, { shown, from }: Named): Stop {
  return new Stop(
    EXIT.unusableBackup,
    `No backup in ${shown} is known to be this stack's; the newest, ${name}, is not: ${flaw}.`,
    `If it is yours, as after the loss of the machine with the stack's state, say so by its name: npx budgie restore ${name} --from ${from}`,
  );
}

/** Throws a Stop when there is a backup whose key was not given: then it is not known which is the newest that counts. */
export function requireOpened(entries: readonly RemoteEntry[], place: Named): void {
  const unopened = entries.find(entry => entry.unopened);
  if (unopened) throw noIdentity(`${unopened.name} in ${place.shown}`);
}
