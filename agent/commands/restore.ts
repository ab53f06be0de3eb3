import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { CopiesFrom } from "../../shared/copies-places.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { shellWord } from "../../shared/shell-word.ts";
import type { Reporter } from "../base/reporter.ts";
import type { CopiesPlace } from "../copies/place.ts";
import type { RemoteEntry } from "../copies/remote-catalogue.ts";
import type { DryRun } from "../restore/dry-run.ts";
import type { LoadedInto } from "../restore/restore-into.ts";
import type { TablesCopied } from "../restore/restore-tables.ts";
import type { Restored, RestoreOptions } from "../restore/restoring.ts";
import { readerFor } from "./bucket-reader.ts";
import type { ReaderOptions } from "./options.ts";
import { withCopies } from "./with-copies.ts";

/** How `restore` was asked. */
export interface RestoreFlags extends ReaderOptions {
  from?: CopiesFrom;
  fromStack?: string;
  allowOlder?: boolean;
  trustFile?: boolean;
  withoutSafetyBackup?: boolean;
  shown?: string;
  dryRun?: boolean;
  into?: string;
  table?: string[];
}

/** How a restore, or what is done instead of one, has ended. */
export type Ended = Restored | DryRun | LoadedInto | TablesCopied;

/** What was typed behind `restore`, but for --undo. Throws a Stop. */
export async function restoreAsAsked(
  settings: AgentSettings,
  source: string | undefined,
  options: RestoreFlags & { at?: string },
  report: Reporter,
): Promise<Ended> {
  const { into, at } = options;
  if (into !== undefined) {
    const { requireNewName } = await import("../restore/restore-into.ts");
    requireNewName(settings.database, into);
  }
  try {
    return await (at
      ? restoreMoment(settings, at, options, report)
      : restoreFrom(settings, source as string, options, report));
  } catch (error) {
    const flag = flagBeside(options);
    throw flag === null ? error : withFlag(error, flag);
  }
}

/** The flag that keeps a restore from replacing anything; null where it was not given. */
function flagBeside({ dryRun, into, table }: RestoreFlags): string | null {
  if (dryRun) return "--dry-run";
  if (into !== undefined) return `--into ${into}`;
  return table === undefined ? null : table.map(name => `--table ${shellWord(name)}`).join(" ");
}

/** What there is to type next must not replace the database either, where this command was not to replace it. */
function withFlag(error: unknown, flag: string): unknown {
  if (!(error instanceof Stop) || !error.next?.includes("npx budgie restore")) return error;
  const next = `${error.next}\n    Add ${flag} to that: without it, the database is replaced.`;
  return new Stop(error.code, error.message, next);
}

/** A file, a backup, an object or `latest`, through the door. Throws a Stop. */
async function restoreFrom(
  settings: AgentSettings,
  source: string,
  options: RestoreFlags,
  report: Reporter,
): Promise<Ended> {
  const [{ parseObjectUrl }, { takeIdentities }] = await Promise.all([
    import("../restore/restore-source.ts"),
    import("../encryption/age-identity.ts"),
  ]);
  const object = parseObjectUrl(source);
  const found = options.from
    ? await withCopies(settings, options.from, options, copies =>
        pullToRestore(settings, source, copies, options, report),
      )
    : source === "latest"
      ? await latestHere(settings, options, report)
      : source;
  const reader = object ? await readerFor(settings, options, object.bucket) : null;
  // What was fetched is opened already.
  const identities = reader || options.from ? [] : await takeIdentities(options.identity);
  return carryOut(
    settings,
    options,
    { ...waysAround(options), source: found, stdin: process.stdin, shown: options.shown, reader, identities },
    report,
  );
}

/** Through the door; or up to it, with --dry-run, --into or --table. */
async function carryOut(
  settings: AgentSettings,
  { dryRun: isDryRun, into, table }: RestoreFlags,
  options: RestoreOptions,
  report: Reporter,
): Promise<Ended> {
  if (isDryRun) {
    const { dryRun } = await import("../restore/dry-run.ts");
    return dryRun(settings, options, report);
  }
  if (into !== undefined) {
    const { restoreInto } = await import("../restore/restore-into.ts");
    return restoreInto(settings, options, into, report);
  }
  if (table !== undefined) {
    const { restoreTables } = await import("../restore/restore-tables.ts");
    return restoreTables(settings, options, table, report);
  }
  const { restore } = await import("../restore/restore.ts");
  return restore(settings, options, report);
}

function waysAround({ fromStack, trustFile, withoutSafetyBackup }: RestoreFlags) {
  return {
    fromStack: fromStack ?? null,
    trustFile: Boolean(trustFile),
    withoutSafetyBackup: Boolean(withoutSafetyBackup),
  };
}

/** The name of what `latest` is, once nothing is left to decide. */
async function latestHere(
  settings: AgentSettings,
  { fromStack, allowOlder = false }: RestoreFlags,
  report: Reporter,
): Promise<string> {
  const { chooseHere, settle } = await import("../restore/settled-latest.ts");
  return settle(await chooseHere(settings, fromStack ?? null), allowOlder, report).name;
}

/** Fetches a backup, or what `latest` is there once nothing is left to decide; returns its name. */
async function pullToRestore(
  settings: AgentSettings,
  source: string,
  copies: CopiesPlace,
  { fromStack, allowOlder = false }: RestoreFlags,
  report: Reporter,
): Promise<string> {
  const [{ pull }, { chooseAmongCopies, settle }] = await Promise.all([
    import("../copies/pull.ts"),
    import("../restore/settled-latest.ts"),
  ]);
  const latest = (entries: readonly RemoteEntry[]) =>
    settle(chooseAmongCopies(settings, copies, entries, fromStack ?? null), allowOlder, report);
  const { name } = await pull(settings, copies, source === "latest" ? latest : source, report);
  return name;
}

/** The database as it was at a moment, through the same door. Throws a Stop. */
async function restoreMoment(
  settings: AgentSettings,
  at: string,
  options: RestoreFlags,
  report: Reporter,
): Promise<Ended> {
  const [{ parseMoment }, { localChains }, { remoteChains }] = await Promise.all([
    import("../point-in-time/moment.ts"),
    import("../point-in-time/chain-source.ts"),
    import("../point-in-time/remote-chains.ts"),
  ]);
  const moment = parseMoment(at);
  if (options.from === "ssh")
    throw new Stop(
      EXIT.usage,
      "A moment cannot be gone back to over ssh: WAL is in the backup directory and in the bucket, and is not copied there.",
      "Leave out --from, say --from s3, or restore a backup: npx budgie restore latest --from ssh",
    );
  const store = options.from ? await readerFor(settings, options) : null;
  const source = store ? remoteChains(store) : localChains(settings);
  const { stdin } = process;
  const flags = { ...waysAround(options), fromStack: null };
  return carryOut(
    settings,
    options,
    { ...flags, source: at, stdin, reader: null, identities: [], recovery: { moment, source } },
    report,
  );
}
