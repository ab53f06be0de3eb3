import { engineClient } from "../engine/client.ts";
import { unlessMissing } from "../engine/unless-missing.ts";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import {
  backupRecordsVolumeName,
  backupsVolumeName,
  databaseVolumeName,
  objectStoreVolumeName,
} from "../shared/names.ts";
import { type BackupFiles, inBackupsVolume, inFolder } from "./files/backup-files.ts";
import { type LastBackup, lastBackup } from "./files/last-backup.ts";
import type { Stack } from "./stack/stack-containers.ts";
import { gigabytes } from "./stack/stack-lines.ts";
import { askForText, isTerminal } from "./terminal/ask.ts";
import { shownFacts, type VolumeFacts, volumeFacts } from "./volume/volume-facts.ts";
import { madeVolume, shownUsers } from "./volume/volume-list.ts";

export interface PurgeOptions {
  /** On this machine. When not said, `./backups`, or the volume that takes its place where the engine is on another machine. */
  backupDir?: string;
  /** Goes on although the data is in no backup that counts. */
  withoutBackup?: boolean;
  /** The volume's name, typed in advance. */
  yesDelete?: string;
}

/**
 * From the backup that a `destroy` takes to the end of its server. The server's last second is in the volume. What was written
 * after the backup is in no backup, and nobody can tell whether anything was: so it must be short.
 */
const DESTROY_TAKES_MS = 30 * 60_000;
/** Of a backup that was taken before the database was touched. */
const GATES: readonly string[] = ["before-change", "before-destroy"];

const say = (line: string) => process.stderr.write(`${line}\n`);

/**
 * DANGER: the second of the two steps that delete the data. The first is `pulumi destroy`, which keeps the volume; this removes it.
 * It asks the engine and the backup directory alone: the stack's containers must be gone. Backups, bucket and the stack's other
 * volumes stay.
 *
 * INVARIANT: the volume is removed only where its data, as the server left it, is in a backup whose file is whole and whose content
 * was restored once; or where `--without-backup` was said. And never without its name having been typed.
 */
export async function purge(stack: Stack, options: PurgeOptions): Promise<void> {
  const volume = databaseVolumeName(stack.prefix);
  const made = await madeVolume(stack);
  await requireUnused(stack, volume);
  const facts = await volumeFacts(stack);
  const files = await backupFiles(stack, options);
  const backup = await readBackup(files, options.withoutBackup ?? false);
  if (!options.withoutBackup) requireGoodBackup(stack, facts, backup, files.shown);
  const { CreatedAt: createdAt = "at an unknown time" } = made as { CreatedAt?: string };

  say(`DANGER: this deletes the data of stack ${stack.name} from this machine:`);
  say(`  the volume ${volume}, made ${createdAt}: ${shownFacts(facts)}`);
  for (const line of shownBackup(backup, facts)) say(`  ${line}`);
  say(
    `What stays: ${files.shown}, the bucket, ${objectStoreVolumeName(stack.prefix)} and ${backupRecordsVolumeName(stack.prefix)}.`,
  );
  await requireName(volume, stack, options);
  await requireUnused(stack, volume);
  await engineClient(stack.engine.host).getVolume(volume).remove();
  say(`[✓] ${volume} is gone`);
  for (const line of waysOn(stack)) say(line);
}

/** A container that was made with the volume, running or not, may start on it again. */
async function requireUnused(stack: Stack, volume: string): Promise<void> {
  const { name, prefix } = stack;
  const own = stack.containers.map(({ name, state }) => `${name} (${state})`);
  if (own.length > 0)
    throw new Stop(
      EXIT.notConfirmed,
      `The containers of stack ${name} are there: ${own.join(", ")}. Nothing was deleted.`,
      [
        "A fresh start takes two steps. These lines keep a proven backup:",
        `  npx budgie --stack ${prefix} stop backend`,
        `  npx budgie --stack ${prefix} backup`,
        `  npx budgie --stack ${prefix} drill`,
        `  npm run pulumi -- destroy --stack ${name}`,
        `  npx budgie --stack ${prefix} purge`,
      ].join("\n"),
    );
  const others = await shownUsers(stack, volume);
  if (others.length === 0) return;
  throw new Stop(
    EXIT.notConfirmed,
    `Other containers have the volume ${volume}: ${others.join(", ")}. Nothing was deleted.`,
    `See what they are. To remove them and keep every volume: ${stack.engine.kind} rm ${others.map(other => other.split(" ")[0]).join(" ")}`,
  );
}

async function backupFiles(stack: Stack, { backupDir }: PurgeOptions): Promise<BackupFiles> {
  if (backupDir !== undefined) return inFolder(backupDir);
  const volume = engineClient(stack.engine.host).getVolume(backupsVolumeName(stack.prefix));
  return (await unlessMissing(volume.inspect())) ? inBackupsVolume(stack) : inFolder("./backups");
}

async function readBackup(files: BackupFiles, ifReadable: boolean): Promise<LastBackup | null> {
  try {
    return await lastBackup(files);
  } catch (error) {
    if (ifReadable) return null;
    throw new Stop(
      EXIT.unusableBackup,
      `It is not known whether the data is in a backup: ${files.shown} or its newest manifest cannot be read (${(error as Error).message}). Nothing was deleted.`,
      "Name the stack's backup directory, on this machine: npx budgie purge --backup-dir FOLDER. To delete without a backup: npx budgie purge --without-backup",
    );
  }
}

/** Throws a Stop that says what the newest backup lacks. */
function requireGoodBackup(
  { name, prefix }: Stack,
  facts: VolumeFacts,
  backup: LastBackup | null,
  folder: string,
): void {
  const why = whatBackupLacks(facts, backup, folder);
  if (why === null) return;
  throw new Stop(
    EXIT.unusableBackup,
    `The data is not known to be in a proven backup: ${why}. Nothing was deleted.`,
    [
      "To have one, bring the stack up again, and then:",
      `  npm run pulumi -- up --stack ${name}`,
      `  npx budgie --stack ${prefix} stop backend`,
      `  npx budgie --stack ${prefix} backup`,
      `  npx budgie --stack ${prefix} drill`,
      `  npm run pulumi -- destroy --stack ${name}`,
      `  npx budgie --stack ${prefix} purge     # --backup-dir FOLDER, when the backups are not in ./backups`,
      `Or say that the data may be lost: npx budgie --stack ${prefix} purge --without-backup`,
    ].join("\n"),
  );
}

/** Null when the newest backup holds what the volume holds, and is whole and proven. Unknown is not. */
export function whatBackupLacks(
  { entries, majorVersion, control }: VolumeFacts,
  backup: LastBackup | null,
  folder: string,
): string | null {
  if (entries === 0) return null;
  if (majorVersion === null || control === null) return "what the volume holds cannot be read";
  if (backup === null) return `there is no backup in ${folder}`;
  const { manifest, provenBy, flaw } = backup;
  if (manifest.systemIdentifier !== control.systemIdentifier)
    return `the newest backup, ${manifest.file}, is of another database (${manifest.systemIdentifier})`;
  if (control.state !== "shut down" || control.writtenAt === null)
    return "the server was not shut down cleanly, so it is not known when it last wrote";
  const after = control.writtenAt.getTime() - new Date(manifest.finishedAt).getTime();
  if (!GATES.includes(manifest.reason))
    return `the newest backup, ${manifest.file}, is not one that a destroy took`;
  if (after > DESTROY_TAKES_MS)
    return `the server served on until ${control.writtenAt.toISOString()}, long after the newest backup, ${manifest.file}`;
  if (flaw !== null) return `the newest backup, ${manifest.file}, ${flaw}`;
  if (provenBy === null)
    return `the newest backup, ${manifest.file}, is not proven, and no proven one holds the same`;
  return null;
}

function shownBackup(backup: LastBackup | null, facts: VolumeFacts): string[] {
  if (backup === null || facts.control?.systemIdentifier !== backup.manifest.systemIdentifier)
    return ["no backup of it is known here: what is in it is LOST"];
  const { manifest, provenBy } = backup;
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  const hours = Math.max(0, (Date.now() - new Date(manifest.finishedAt).getTime()) / 3_600_000);
  const age = hours < 48 ? `${hours.toFixed(1)} hours` : `${(hours / 24).toFixed(0)} days`;
  return [
    `the database ${manifest.database}: ${manifest.tables.length} tables, ${rows} rows, ${gigabytes(manifest.databaseBytes)}, as of its newest backup`,
    `that backup is ${manifest.file}, ${age} old, ${provenBy === null ? "NOT proven" : `proven${provenBy === manifest.file ? "" : ` by the drill of ${provenBy}, which holds the same`}`}`,
  ];
}

async function requireName(volume: string, { prefix }: Stack, { yesDelete }: PurgeOptions): Promise<void> {
  if (yesDelete === volume) return;
  const asks = yesDelete === undefined && isTerminal();
  if (asks && (await askForText("To delete it, type the volume's name:")).trim() === volume) return;
  throw new Stop(
    EXIT.notConfirmed,
    "The volume's name was not said. Nothing was deleted.",
    `To delete it without being asked: npx budgie --stack ${prefix} purge --yes-delete ${volume}`,
  );
}

/** `destroy` has emptied the state, which remembers no data any more. The identity beside the backups does. */
function waysOn({ name, prefix }: Stack): string[] {
  return [
    "To begin with an empty database:",
    `  npm run pulumi -- up --stack ${name}     # where there are backups it stops: the new database is not the one that they came from`,
    `  npx budgie --stack ${prefix} accept-database`,
    `  npm run pulumi -- up --stack ${name}`,
    "To have the data again:",
    `  npm run pulumi -- up --stack ${name}     # stops in the same way`,
    `  npx budgie --stack ${prefix} restore latest`,
    `  npm run pulumi -- up --stack ${name}`,
  ];
}
