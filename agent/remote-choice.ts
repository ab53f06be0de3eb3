import { noIdentity, WrongIdentity } from "./decryption.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { totalRows } from "./manifest.ts";
import type { ObjectStore } from "./object-store.ts";
import { isWhole, OTHER_KEY, type RemoteEntry, type WholeEntry } from "./remote-catalogue.ts";

/** What an explicit name stands for: a backup's name, or an object's where two backups have the same name. Throws a Stop. */
export function findRemote(entries: readonly RemoteEntry[], which: string, store: ObjectStore): WholeEntry {
  const found = entries.filter(
    ({ name, key }) => name === which || key === which || key === store.prefix + which,
  );
  const whole = found.filter(isWhole);
  if (whole.length === 1 && whole[0]) return whole[0];
  if (whole.length > 1) {
    throw new Stop(
      EXIT.usage,
      `${whole.length} backups in ${store.shown} have the name ${which}: ${whole.map(({ key }) => key).join(", ")}.`,
      "Say which, by its key.",
    );
  }
  requireOpened(found, store);
  const flaw = found[0]?.flaw;
  throw new Stop(
    EXIT.unusableBackup,
    flaw
      ? `${which} in ${store.shown} cannot be used: ${flaw}.`
      : `There is no backup ${which} in ${store.shown}.`,
    "`npx budgie list --remote` shows what is there.",
  );
}

/**
 * The newest backup that counts. Not when it is of another database than those before it and holds fewer than half the rows:
 * the empty database of a fresh machine may have been backed up since the data was lost. Throws a Stop that names both.
 */
export function latestRemote(entries: readonly RemoteEntry[], store: Pick<ObjectStore, "shown">): WholeEntry {
  requireOpened(entries, store);
  const good = entries.filter(isWhole).filter(({ flaw }) => flaw === null);
  const newest = good[0];
  const sealed = entries.find(({ flaw }) => flaw === OTHER_KEY);
  if (sealed && (!newest || entries.indexOf(sealed) < entries.indexOf(newest)))
    throw new WrongIdentity(`${sealed.name} in ${store.shown}`);
  if (!newest) {
    throw new Stop(
      EXIT.unusableBackup,
      `There is no backup in ${store.shown} that counts.`,
      "`npx budgie list --remote` shows what is there, and why it does not.",
    );
  }
  const before = good.find(({ manifest }) => manifest.systemIdentifier !== newest.manifest.systemIdentifier);
  if (!before) return newest;
  const [rows, rowsBefore] = [totalRows(newest.manifest.tables), totalRows(before.manifest.tables)];
  if (rows * 2 >= rowsBefore) return newest;
  throw new Stop(
    EXIT.anotherDatabase,
    `Which is the latest is not clear: ${newest.name} holds ${rows} rows, and ${before.name}, of another database before it, ${rowsBefore}.`,
    `Say which by its name: npx budgie restore ${before.name} --from s3`,
  );
}

/** Throws a Stop when there is one that nobody gave the key of: which is the newest that counts, is then not known. */
export function requireOpened(entries: readonly RemoteEntry[], store: Pick<ObjectStore, "shown">): void {
  const unopened = entries.find(entry => entry.unopened);
  if (unopened) throw noIdentity(`${unopened.name} in ${store.shown}`);
}
