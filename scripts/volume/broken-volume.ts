import { setTimeout as delay } from "node:timers/promises";
import { engineClient } from "../../engine/client.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { brokenVolumeName, databaseVolumeName, upgradedVolumeName } from "../../shared/names.ts";
import { RESERVED_BYTES } from "../../shared/reserved-bytes.ts";
import { ALL_IS_KEPT, DATABASE_IS_BACK, PROGRESS_NOTE, shownUpgrade } from "../../shared/upgrade.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { askVolumes, workOnVolumes } from "./volume-work.ts";

/** A volume that was kept aside, as it was, before a new one took its place. */
export interface KeptVolume {
  name: string;
  /** `copying`: nothing depends on it yet. `replacing`: all is in it, and the database is not back. `done`: it is. */
  stage: "copying" | "replacing" | "done";
  /** For which upgrade of PostgreSQL; null for a broken one. */
  upgrade: KeptForUpgrade | null;
}

export interface KeptForUpgrade {
  from: string;
  to: string;
  /** What the new server is filled from: a backup, or, on the way back, the volume with the data of that version. */
  source: { backup: string } | { volume: string };
}

const [NOTE, BACK] = [PROGRESS_NOTE, DATABASE_IS_BACK];
const [BROKEN, KEPT] = ["/broken", "/kept"];
const OTHER_KIND = 75;
const NO_SPACE = 76;
const DIFFERS = 77;
const WAIT_MS = 2000;

/** Names, kinds, rights and owners of everything below a folder, and every byte of every file. */
const DIGEST = `set -o pipefail
digest() {
  cd "$1" || return
  {
    find . ! -path './${NOTE}*' ! -path . -exec stat -c '%n %F %a %u %g %s' {} + | sort || return
    find . -type f ! -path './${NOTE}*' -print0 | sort -z | xargs -0 -r sha256sum || return
  } | sha256sum | cut -d ' ' -f 1
}`;

const SPACE = `echo "needed: $(du -sk ${BROKEN} | cut -f 1)"; echo "free: $(df -Pk "$WHERE" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"`;

const COPY = `cd ${BROKEN} || exit 1
other=$(find . ! -type f ! -type d | head -n 1)
[ -z "$other" ] || { echo "$other" >&2; exit ${OTHER_KIND}; }
errors=$(cp -a . ${KEPT}/ 2>&1) || {
  echo "$errors" | head -n 5 >&2
  echo "$errors" | grep -qiE 'no space|quota' && exit ${NO_SPACE}
  exit 1
}
rm -f ${KEPT}/${NOTE}* || exit 1
sync`;

/**
 * INVARIANT: nothing of the broken volume is removed before the kept one is known to hold the same, byte for byte, and says so itself. From
 * then on the broken one says where all of it is. PG_VERSION goes first: without it no server opens the volume, and the image fills
 * none that is not empty. The note goes last. A kill in between leaves what this script goes on with.
 */
const REPLACE = `${DIGEST}
if [ "$(cat ${BROKEN}/${NOTE} 2> /dev/null)" != "$NAME" ] || [ ! -s ${KEPT}/${NOTE} ]; then
  kept=$(digest ${KEPT}) && broken=$(digest ${BROKEN}) || exit 1
  [ -n "$kept" ] && [ "$kept" = "$broken" ] || exit ${DIFFERS}
  printf '${ALL_IS_KEPT}: %s\\n' "$kept" > ${KEPT}/${NOTE}.new && sync && mv ${KEPT}/${NOTE}.new ${KEPT}/${NOTE} || exit 1
  printf '%s' "$NAME" > ${BROKEN}/${NOTE}.new && sync && mv ${BROKEN}/${NOTE}.new ${BROKEN}/${NOTE} && sync || exit 1
fi
rm -f ${BROKEN}/PG_VERSION && sync || exit 1
find ${BROKEN} -mindepth 1 -maxdepth 1 ! -name ${NOTE} -exec rm -rf {} + || exit 1
[ "$(ls -A ${BROKEN})" = ${NOTE} ] || exit 1
sync
rm ${BROKEN}/${NOTE} && sync`;

const FINISH = `grep -qxF '${BACK}' ${KEPT}/${NOTE} || { echo '${BACK}' >> ${KEPT}/${NOTE} && sync; }`;

const say = (line: string) => process.stderr.write(`${line}\n`);

/** Every volume of the stack that was kept aside, oldest first. */
export async function keptVolumes(stack: Stack): Promise<KeptVolume[]> {
  const original = databaseVolumeName(stack.prefix);
  const { Volumes: all } = await engineClient(stack.engine.host).listVolumes();
  const found = (all ?? [])
    .filter(({ Labels: labels }) => labels?.[LABEL.keptAside] === original)
    .sort((a, b) => (dateIn(a.Name) < dateIn(b.Name) ? -1 : 1));
  const names = found.map(({ Name: name }) => name);
  if (names.length === 0) return [];
  const volumes = names.map((volume, at) => ({ volume, path: `/volumes/${at}` }));
  const script = names
    .map((_, at) => `echo "${at}: $(tr '\\n' ';' < /volumes/${at}/${NOTE} 2> /dev/null)"`)
    .join("\n");
  const said = await askVolumes(stack, { volumes, script });
  return names.map((name, at) => {
    const note = said.split("\n").find(line => line.startsWith(`${at}: `)) ?? "";
    const upgrade = upgradeOf(found[at]?.Labels);
    if (!note.includes(ALL_IS_KEPT)) return { name, stage: "copying", upgrade };
    return { name, stage: note.includes(BACK) ? "done" : "replacing", upgrade };
  });
}

function dateIn(name: string): string {
  return name.slice(-"20261122-140300".length);
}

function upgradeOf(labels: Record<string, string> | undefined): KeptForUpgrade | null {
  const [from, to] = labels?.[LABEL.upgrade]?.split("-") ?? [];
  const [kind, name] = labels?.[LABEL.upgradeSource]?.split(" ") ?? [];
  if (!from || !to || !name) return null;
  return { from, to, source: kind === "volume" ? { volume: name } : { backup: name } };
}

function upgradeLabels(upgrade: KeptForUpgrade | undefined): Record<string, string> {
  if (!upgrade) return {};
  const { source } = upgrade;
  const said = "volume" in source ? `volume ${source.volume}` : `backup ${source.backup}`;
  return { [LABEL.upgrade]: shownUpgrade(upgrade), [LABEL.upgradeSource]: said };
}

/** Where all of a volume is that is being emptied; null for one that is not. */
export async function emptiedInto(stack: Stack): Promise<string | null> {
  const volumes = [{ volume: databaseVolumeName(stack.prefix), path: BROKEN }];
  const script = `if [ -e ${BROKEN}/${NOTE} ]; then cat ${BROKEN}/${NOTE}; fi`;
  return (await askVolumes(stack, { volumes, script })) || null;
}

/** Throws a Stop where the engine's disk has no room for a copy of the volume. */
export async function requireSpaceForCopy(stack: Stack, copy?: string): Promise<void> {
  const volumes = [
    { volume: databaseVolumeName(stack.prefix), path: BROKEN },
    ...(copy ? [{ volume: copy, path: KEPT }] : []),
  ];
  const environment = { WHERE: copy ? KEPT : BROKEN };
  const said = await askVolumes(stack, { volumes, script: SPACE, environment });
  const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(said)?.[1]) * 1024;
  const [needed, free] = [of("needed") + RESERVED_BYTES, of("free")];
  // NaN is unknown, and unknown is not enough.
  if (free >= needed) return;
  throw noSpace(
    stack,
    `${needed} bytes are needed, and ${Number.isNaN(free) ? "an unknown number" : free} are free`,
  );
}

/** Makes a volume for the copy, with room for it, and returns its name. Removes what a killed copy has left. */
export async function makeKept(stack: Stack, upgrade?: KeptForUpgrade, now = new Date()): Promise<string> {
  const client = engineClient(stack.engine.host);
  const original = databaseVolumeName(stack.prefix);
  const name = upgrade
    ? upgradedVolumeName(stack.prefix, upgrade.from, now)
    : brokenVolumeName(stack.prefix, now);
  for (const left of await keptVolumes(stack))
    if (left.stage === "copying") await client.getVolume(left.name).remove();
  if (await unlessMissing(client.getVolume(name).inspect()))
    throw new Stop(
      EXIT.busy,
      `The volume ${name} is there already. Nothing was changed.`,
      "Run the same command again.",
    );
  const labels = {
    [LABEL.stack]: stack.name,
    [LABEL.prefix]: stack.prefix,
    [LABEL.keptAside]: original,
    ...upgradeLabels(upgrade),
  };
  await client.createVolume({ Name: name, Labels: labels });
  await andRemoveWhereThatFails(stack, name, () => requireSpaceForCopy(stack, name));
  return name;
}

/** Copies the volume into `name`. No server may run on it. */
export async function keepAside(stack: Stack, name: string): Promise<void> {
  const original = databaseVolumeName(stack.prefix);
  say(`[i] Copying ${original} to ${name}...`);
  await andRemoveWhereThatFails(stack, name, () => copy(stack, original, name));
}

async function andRemoveWhereThatFails(
  { engine }: Stack,
  name: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    await engineClient(engine.host)
      .getVolume(name)
      .remove()
      .catch(() => undefined);
    throw error;
  }
}

async function copy(stack: Stack, original: string, name: string): Promise<void> {
  const { code, stderr } = await workOnVolumes(stack, {
    volumes: [
      { volume: original, path: BROKEN, readOnly: true },
      { volume: name, path: KEPT },
    ],
    script: COPY,
    writes: true,
    onOutput: () => undefined,
  });
  if (code === NO_SPACE) throw noSpace(stack, "it was full before the copy was whole");
  if (code === OTHER_KIND)
    throw new Stop(
      EXIT.failed,
      `${stderr} in the volume ${original} is neither a file nor a folder. What it leads to lies outside the volume, and would not be kept. Nothing was changed.`,
      `Keep a copy of it and of ${original} yourself, then bring the stack up under another budgie:namePrefix, and restore there.`,
    );
  if (code === 0) return;
  throw new Stop(
    EXIT.failed,
    `The volume ${original} cannot be copied whole: ${stderr || `exit code ${code}`}. Nothing of it was changed.`,
    "The disk itself is damaged where it cannot be read (dmesg says so). Leave the volume as it is, bring the stack up on another disk, and restore there.",
  );
}

/** Empties the volume, once `kept` is known to hold all of it. Goes on with what a killed one has left. */
export async function emptyInto(stack: Stack, kept: string): Promise<void> {
  const original = databaseVolumeName(stack.prefix);
  const { code, stderr } = await workOnVolumes(stack, {
    volumes: [
      { volume: original, path: BROKEN },
      { volume: kept, path: KEPT },
    ],
    script: REPLACE,
    environment: { NAME: kept },
    writes: true,
    onOutput: () => undefined,
  });
  if (code === 0) return;
  if (code === DIFFERS)
    throw new Stop(
      EXIT.comparisonDiffers,
      `${kept} is not the same as ${original}, byte for byte. Nothing of ${original} was changed.`,
      "See that nothing else writes to the volume (`npx budgie volume list`), then run the same command again.",
    );
  throw new Stop(
    EXIT.failed,
    `The volume ${original} could not be made new: ${stderr || `exit code ${code}`}. All that was in it is in ${kept}, or is still there.`,
    "Run the same command again: it goes on from there.",
  );
}

/** Notes that the database is back. From then on the volume is only kept. */
export async function noteBack(stack: Stack, kept: string): Promise<void> {
  const volumes = [{ volume: kept, path: KEPT }];
  const { code, stderr } = await workOnVolumes(stack, {
    volumes,
    script: FINISH,
    writes: true,
    onOutput: () => undefined,
  });
  if (code !== 0) throw new Error(`${kept} could not be marked as done: ${stderr || `exit code ${code}`}`);
}

function noSpace({ prefix }: Stack, why: string): Stop {
  return new Stop(
    EXIT.noSpace,
    `There is no space on the container engine's disk to keep ${databaseVolumeName(prefix)} as it is: ${why}. Nothing was changed.`,
    "Free some there, or make the disk larger, then run the same command again.",
  );
}

/** A killed command leaves its last step at work on the volumes. It ends by itself, and nothing is looked at before. */
export async function waitForKilledWork(stack: Stack): Promise<void> {
  const left = engineClient(stack.engine.host).getContainer(`${databaseVolumeName(stack.prefix)}-work`);
  let told = false;
  while ((await unlessMissing(left.inspect()))?.State.Running) {
    if (!told)
      say("[i] The last step of an earlier command is still at work on the volume. Waiting for it...");
    told = true;
    await delay(WAIT_MS);
  }
}
