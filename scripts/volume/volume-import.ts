import { randomBytes } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { engineClient } from "../../engine/client.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { DATA_FOLDER } from "../../shared/database-image.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { ArchiveProblem, VolumeArchive } from "./volume-archive.ts";
import { IMPORT_FOLDER, shownFacts, type VolumeFacts, volumeFacts } from "./volume-facts.ts";
import { requireIdleVolume } from "./volume-idle.ts";
import { workOnVolumes } from "./volume-work.ts";

const NOT_EMPTY = 75;

/** Whether the volume holds anything that an import did not bring. A server makes PG_VERSION before all else. */
const REQUIRE_EMPTY = `
cd '${DATA_FOLDER}' || exit 1
[ ! -e PG_VERSION ] || exit ${NOT_EMPTY}
[ -e '${IMPORT_FOLDER}' ] || [ -z "$(ls -A)" ] || exit ${NOT_EMPTY}`;

/** Of this import alone: another one that begins meanwhile takes it away, and then this one fails. */
const OWN = `${IMPORT_FOLDER}/"$TOKEN"`;

/** What a killed import has left goes first: the folder of that name is there until the last file has its place. */
const UNPACK = `${REQUIRE_EMPTY}
find . -mindepth 1 -maxdepth 1 ! -name '${IMPORT_FOLDER}' -exec rm -rf {} + || exit 1
rm -rf '${IMPORT_FOLDER}' && mkdir -m 700 '${IMPORT_FOLDER}' ${OWN} || exit 1
tar -x -f - -C ${OWN} || exit 1
cat > /dev/null
find ${OWN} ! -type f ! -type d | head -n 1 | sed 's/^/other: /'
echo "files: $(find ${OWN} -type f | wc -l)"`;

/**
 * PG_VERSION comes last. Without it no server opens the volume, and the image refuses to fill a folder that is not empty: a kill
 * in between leaves a volume that nothing runs on, and the next import begins anew.
 */
const MOVE = `${REQUIRE_EMPTY}
[ -e ${OWN}/PG_VERSION ] || exit 1
rm -f ${OWN}/postmaster.pid
chown -R postgres:postgres ${OWN} . && chmod -R u=rwX,g=,o= ${OWN} && chmod 700 . || exit 1
sync
find ${OWN} -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv {} . ';' || exit 1
[ "$(ls -A ${OWN})" = PG_VERSION ] || exit 1
sync
mv ${OWN}/PG_VERSION . && rmdir ${OWN} '${IMPORT_FOLDER}' || exit 1
sync`;

/** Ends with an error when there is more than this import brought. */
const CLEAR = `${REQUIRE_EMPTY}
[ -e '${IMPORT_FOLDER}' ] || exit 0
[ -e ${OWN} ] || exit ${NOT_EMPTY}
find . -mindepth 1 -maxdepth 1 ! -name '${IMPORT_FOLDER}' -exec rm -rf {} + || exit 1
rm -rf '${IMPORT_FOLDER}'`;

const say = (line: string) => process.stderr.write(`${line}\n`);
const shown = (from: string) => (from === "-" ? "what came in" : from);

/**
 * Puts a tar file of a database's volume, or standard input for `-`, into the volume of the stack's database. Only into one that is
 * empty, or not there: never over data. It is unpacked into a folder of that volume and looked at, and gets its place when it is
 * whole. Whatever ends this before leaves no database there.
 */
export async function importVolume(stack: Stack, from: string): Promise<void> {
  await fillVolume(stack, from, await openArchive(from));
  say("    Bring the stack up on it: npm run pulumi -- up --refresh");
  say(
    "    That sets the role's password. It stops, and says how to go on, when this is another database than the one the",
  );
  say("    backups came from.");
}

/** The same for what a stream brings. @param from what it is called */
export async function fillVolume(stack: Stack, from: string, archive: Readable): Promise<void> {
  const volume = databaseVolumeName(stack.prefix);
  await requireIdleVolume(stack);
  const made = await makeVolume(stack);
  const token = randomBytes(8).toString("hex");
  try {
    await requireEmpty(stack);
    await unpack(stack, from, archive, token);
    const facts = judge(await volumeFacts(stack, { folder: `${IMPORT_FOLDER}/${token}` }), from);
    await move(stack, from, token);
    say(`[✓] ${volume} holds it now: ${shownFacts(facts)}`);
  } catch (error) {
    await clear(stack, made, token);
    throw error;
  }
}

async function openArchive(from: string): Promise<Readable> {
  if (from === "-") return process.stdin;
  await access(from, constants.R_OK).catch((error: Error) => {
    throw new Stop(
      EXIT.usage,
      `The file ${from} cannot be read: ${error.message}.`,
      "Name a file that `npx budgie volume export` wrote, or `-` for standard input.",
    );
  });
  return createReadStream(from);
}

/** Whether this made it. The engine has it for the stack from then on, as if Pulumi had made it. */
async function makeVolume({ engine, prefix, name }: Stack): Promise<boolean> {
  const client = engineClient(engine.host);
  const volume = databaseVolumeName(prefix);
  if (await unlessMissing(client.getVolume(volume).inspect())) return false;
  // Where nothing of the stack is there, its name is not known, and Pulumi takes the volume over without one.
  const labels: Record<string, string> =
    name === prefix ? {} : { [LABEL.stack]: name, [LABEL.prefix]: prefix };
  await client.createVolume({ Name: volume, Labels: labels });
  say(`[i] Made the volume ${volume}`);
  return true;
}

async function requireEmpty(stack: Stack): Promise<void> {
  const facts = await volumeFacts(stack);
  const leftByKill = facts.hasImportFolder && facts.majorVersion === null;
  if (facts.entries > 0 && !leftByKill) throw notEmpty(stack, facts);
}

function notEmpty({ prefix, name }: Stack, facts?: VolumeFacts): Stop {
  return new Stop(
    EXIT.notConfirmed,
    `The volume ${databaseVolumeName(prefix)} holds data${facts ? ` (${shownFacts(facts)})` : ""}, and nothing is put over that. It is as it was.`,
    `To keep it: npx budgie --stack ${name} volume export FILE. To have it gone: npx budgie --stack ${name} purge. Or load a backup, which keeps what was there: npx budgie restore BACKUP`,
  );
}

async function unpack(stack: Stack, from: string, source: Readable, token: string): Promise<void> {
  const archive = new VolumeArchive();
  say(`[i] Unpacking ${shown(from)} beside its place in ${databaseVolumeName(stack.prefix)}...`);
  const passed = pipeline(source, archive).then(
    () => null,
    (error: Error) => error,
  );
  let said = "";
  const done = await workOnVolumes(stack, {
    script: UNPACK,
    environment: { TOKEN: token },
    writes: true,
    stdin: archive,
    onOutput: bytes => {
      said += bytes.toString();
    },
  }).catch((error: Error) => error);
  if (done instanceof Stop) throw done;
  const problem = await passed;
  if (problem instanceof ArchiveProblem) throw unusable(from, problem.message);
  if (done instanceof Error) throw done;
  const { code, stderr } = done;
  if (code === NOT_EMPTY) throw notEmpty(stack);
  if (code !== 0 && /no space left|quota exceeded/i.test(stderr))
    throw new Stop(
      EXIT.noSpace,
      `There is no space on the container engine's disk for ${shown(from)}. The volume holds nothing of it.`,
      "Free some there, then run the same command again.",
    );
  if (code !== 0) throw unusable(from, stderr || `exit code ${code}`);
  if (problem) throw unusable(from, `it could not be read to its end: ${problem.message}`);
  const other = /^other: (.*)$/m.exec(said)?.[1];
  if (other) throw unusable(from, `${other} in it is neither a file nor a folder`);
  if (!said.includes(`files: ${archive.files}\n`))
    throw unusable(from, `it holds ${archive.files} files, and another number came out of it`);
}

/** Throws a Stop for what the stack's server would not open. */
function judge(facts: VolumeFacts, from: string): VolumeFacts {
  const { majorVersion, imageVersion, control } = facts;
  if (majorVersion !== imageVersion)
    throw new Stop(
      EXIT.unusableBackup,
      `${shown(from)} is of PostgreSQL ${majorVersion ?? "unknown"}, and the stack runs ${imageVersion}, which cannot open it. The volume holds nothing of it.`,
      "Start it where it comes from, take a backup there with pg_dump, and load that: npx budgie restore FILE",
    );
  if (control === null) throw unusable(from, "its global/pg_control is damaged");
  if (control.state !== "shut down")
    say(
      `[i] The server that it comes from was not shut down cleanly (${control.state}). It recovers when it is started.`,
    );
  return facts;
}

async function move(stack: Stack, from: string, token: string): Promise<void> {
  const { code, stderr } = await workOnVolumes(stack, {
    script: MOVE,
    environment: { TOKEN: token },
    writes: true,
    onOutput: () => undefined,
  });
  if (code === NOT_EMPTY) throw notEmpty(stack);
  if (code === 0) return;
  throw new Stop(
    EXIT.failed,
    `${shown(from)} was unpacked, and could not be put in its place: ${stderr || `exit code ${code}`}. No server opens the volume as it is.`,
    "Run the same command again: it begins anew.",
  );
}

function unusable(from: string, why: string): Stop {
  return new Stop(
    EXIT.unusableBackup,
    `${shown(from)} cannot be imported: ${why}. The volume holds nothing of it.`,
    "Export it again, with the server stopped: npx budgie volume export FILE",
  );
}

/** What is half done goes, as far as the engine still answers. The next import begins anew in any case. */
async function clear(stack: Stack, made: boolean, token: string): Promise<void> {
  try {
    const { code } = await workOnVolumes(stack, {
      script: CLEAR,
      environment: { TOKEN: token },
      writes: true,
      onOutput: () => undefined,
    });
    if (made && code === 0)
      await engineClient(stack.engine.host).getVolume(databaseVolumeName(stack.prefix)).remove();
  } catch (error) {
    say(
      `[i] What was half done could not be cleared away (${(error as Error).message}). No server opens it.`,
    );
  }
}
