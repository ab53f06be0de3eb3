import { once } from "node:events";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DATA_FOLDER } from "../../shared/database-image.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { ArchiveProblem, VolumeArchive } from "./volume-archive.ts";
import { shownFacts, type VolumeFacts, volumeFacts } from "./volume-facts.ts";
import { requireIdleVolume } from "./volume-idle.ts";
import { madeVolume } from "./volume-list.ts";
import { workOnVolumes } from "./volume-work.ts";
import { writeWholeFile } from "./whole-file.ts";

/** The server began or ended meanwhile: it writes its state to pg_control whenever it does. */
const CHANGED = 75;

const SCRIPT = `
cd '${DATA_FOLDER}' || exit 1
before=$(sha256sum global/pg_control) || exit 1
tar -c -f - . || exit 1
[ "$(sha256sum global/pg_control)" = "$before" ] || exit ${CHANGED}`;

const AGAIN = "Then run the same command again.";
const say = (line: string) => process.stderr.write(`${line}\n`);

/**
 * Writes the volume of the stack's database into a tar file, or to standard output for `-`. No server may run on it meanwhile. The
 * file gets its name only when the volume was read to the end, nobody wrote to it, and every byte is on disk.
 */
export async function exportVolume(stack: Stack, to: string): Promise<void> {
  await madeVolume(stack);
  await requireIdleVolume(stack);
  const facts = requireDatabase(await volumeFacts(stack), stack);
  const volume = databaseVolumeName(stack.prefix);
  say(`[i] Reading ${volume}: ${shownFacts(facts)}`);
  if (facts.control?.state !== "shut down")
    say(
      "[i] The server was not shut down cleanly. The copy is whole all the same: it recovers when it is started.",
    );
  if (to === "-") {
    await readVolume(stack, volume, process.stdout);
    say("[✓] Written to standard output");
    return;
  }
  const { bytes, sha256 } = await writeWholeFile(to, out =>
    readVolume(stack, databaseVolumeName(stack.prefix), out),
  );
  say(`[✓] Written: ${to}, ${bytes} bytes, sha256 ${sha256}`);
  say(`    Whoever has this file has all data and the roles' password hashes.`);
  say(`    To put it into an empty volume, here or elsewhere: npx budgie volume import ${to}`);
}

function requireDatabase(facts: VolumeFacts, { prefix }: Stack): VolumeFacts {
  const volume = databaseVolumeName(prefix);
  if (facts.majorVersion === null)
    throw new Stop(
      EXIT.failed,
      `The volume ${volume} holds no database${facts.hasImportFolder ? ", but an import that was cut off" : ""}.`,
      "Name another stack with --stack, or put a database into it: npx budgie volume import FILE",
    );
  if (facts.control === null)
    throw new Stop(
      EXIT.failed,
      `The volume ${volume} holds PostgreSQL ${facts.majorVersion}, and its pg_control cannot be read: it is damaged, or of another version than the image's ${facts.imageVersion}.`,
      "`npx budgie restore latest` brings the data back from a backup; `npx budgie logs db` shows what the server says.",
    );
  return facts;
}

/**
 * Passes a volume on as a tar file, and does not end that. Until this ends without an error, nothing that it wrote may count: no server
 * may run on the volume meanwhile.
 */
export async function readVolume(stack: Stack, volume: string, out: Writable): Promise<void> {
  const archive = new VolumeArchive();
  const passed = pipeline(archive, out, { end: false });
  passed.catch(() => undefined);
  const { code, stderr } = await workOnVolumes(stack, {
    volumes: [{ volume, path: DATA_FOLDER }],
    script: SCRIPT,
    onOutput: async bytes => {
      if (archive.destroyed) await passed;
      else if (!archive.write(bytes)) await Promise.race([once(archive, "drain"), passed]);
    },
  }).catch(async error => {
    archive.destroy();
    throw error instanceof ArchiveProblem ? notToBeCopied(volume, error) : error;
  });
  if (code === CHANGED)
    throw new Stop(
      EXIT.busy,
      "A server was started on the volume while it was read, so the copy is not whole. It does not count.",
      `Stop it: npx budgie stop db. ${AGAIN}`,
    );
  if (code !== 0)
    throw new Stop(
      EXIT.failed,
      `The volume ${volume} could not be read to the end: ${stderr || `exit code ${code}`}. What was written does not count.`,
      `See that its disk is well. ${AGAIN}`,
    );
  archive.end();
  await passed.catch(error => {
    throw error instanceof ArchiveProblem ? notToBeCopied(volume, error) : error;
  });
}

function notToBeCopied(volume: string, { message }: ArchiveProblem): Stop {
  return new Stop(
    EXIT.failed,
    `The volume ${volume} cannot be copied as a tar file: ${message}.`,
    "Take a backup instead, which does not depend on where files lie: npx budgie backup",
  );
}
