import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { workOnVolumes } from "../volume/volume-work.ts";

const [OWN, KEPT] = ["/own", "/kept"];
const COMING = `${OWN}/.budgie-put-back`;
const HOLDS_DATABASE = 77;

/**
 * INVARIANT: PG_VERSION comes last, after all else is on disk. Without it no server opens the volume, and the image fills none that is not
 * empty. So a kill leaves either nothing that anybody takes for a database, or all of it.
 */
const CLEAR = `[ ! -e ${OWN}/PG_VERSION ] || exit ${HOLDS_DATABASE}
find ${OWN} -mindepth 1 -maxdepth 1 -exec rm -rf {} + || exit 1
sync`;
const PUT_BACK = `${CLEAR}
mkdir ${COMING} && cp -a ${KEPT}/. ${COMING}/ || exit 1
rm -f ${COMING}/.budgie-recovery*
find ${COMING} -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv {} ${OWN}/ ';' || exit 1
chown --reference=${KEPT} ${OWN} 2> /dev/null || chown "$(stat -c %u:%g ${KEPT})" ${OWN} || exit 1
chmod "$(stat -c %a ${KEPT})" ${OWN} || exit 1
sync
mv ${COMING}/PG_VERSION ${OWN}/ && rmdir ${COMING} || exit 1
sync`;

/** Removes what a killed command has left in the volume, which holds no database: all of what was in it is in another one. */
export async function clearVolume(stack: Stack): Promise<void> {
  await run(stack, CLEAR);
}

/** Copies what is kept in `kept` into the stack's volume, which holds no database. It stays in `kept` as well. */
export async function putBack(stack: Stack, kept: string): Promise<void> {
  await run(stack, PUT_BACK, kept);
}

async function run(stack: Stack, script: string, kept?: string): Promise<void> {
  const volume = databaseVolumeName(stack.prefix);
  const { code, stderr } = await workOnVolumes(stack, {
    volumes: [
      { volume, path: OWN },
      ...(kept ? [{ volume: kept, path: KEPT, readOnly: true as const }] : []),
    ],
    script,
    writes: true,
    onOutput: () => undefined,
  });
  if (code === 0) return;
  const full = /no space|quota/i.test(stderr);
  throw new Stop(
    full ? EXIT.noSpace : EXIT.failed,
    `The volume ${volume} could not be filled${kept ? ` from ${kept}` : ""}: ${stderr || `exit code ${code}`}. All that was in it is kept.`,
    `${full ? "Free space on the container engine's disk, then run" : "Run"} the same command again: it goes on from there.`,
  );
}
