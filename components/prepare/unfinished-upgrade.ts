import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { runOnVolumes } from "../../engine/run-on-volumes.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { DATA_FOLDER } from "../../shared/database-image.ts";
import { LABEL } from "../../shared/labels.ts";
import { ALL_IS_KEPT, DATABASE_IS_BACK, PROGRESS_NOTE, UPGRADE_VARIABLE } from "../../shared/upgrade.ts";
import type { KnownData } from "./known-data.ts";
import { presentImage } from "./volume-version.ts";

/** A volume with all of the data of before an upgrade, or of before the way back. */
interface Kept {
  name: string;
  from: string;
  to: string;
  isBack: boolean;
}

/**
 * Says so when `npx budgie upgrade` was ended half-way, and the volume is not one that the server of these settings may open: on an emptied
 * one the image would make a new database, and the settings may have been put back by hand. Nothing while that command itself asks.
 */
export async function unfinishedUpgradeProblem(
  engine: Engine,
  wanted: KnownData,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  if (!engine.reachable || env[UPGRADE_VARIABLE]) return undefined;
  const client = engineClient(engine.host);
  const { Volumes: all } = await client.listVolumes();
  const kept = (all ?? []).flatMap(({ Name: name, Labels: labels }) =>
    labels?.[LABEL.keptAside] === wanted.volume ? keptOf(name, labels) : [],
  );
  if (kept.length === 0 || !(await unlessMissing(client.getVolume(wanted.volume).inspect())))
    return undefined;
  const image = await presentImage(engine);
  if (image === undefined) return undefined;
  const paths = kept.map(({ name }, at) => ({ volume: name, path: `/kept/${at}`, readOnly: true as const }));
  let said = "";
  await runOnVolumes(client, {
    name: `${wanted.volume}-upgrade`,
    image,
    volumes: [{ volume: wanted.volume, path: DATA_FOLDER, readOnly: true }, ...paths],
    writes: false,
    script: [
      `echo "version: $(head -c 20 ${DATA_FOLDER}/PG_VERSION 2> /dev/null)"`,
      `echo "emptied: $(cat ${DATA_FOLDER}/${PROGRESS_NOTE} 2> /dev/null)"`,
      ...paths.map(({ path }, at) => `echo "${at}: $(tr '\\n' ';' < ${path}/${PROGRESS_NOTE} 2> /dev/null)"`),
    ].join("\n"),
    onOutput: (bytes: Buffer) => {
      said += bytes.toString();
    },
  });
  return unfinishedUpgrade(said, kept, wanted.majorVersion);
}

function keptOf(name: string, labels: Record<string, string>): Kept[] {
  const [from, to] = labels[LABEL.upgrade]?.split("-") ?? [];
  if (!from || !to) return [];
  return [{ name, from, to, isBack: labels[LABEL.upgradeSource]?.startsWith("volume ") ?? false }];
}

/** @param said the version in the volume, whether it is being emptied, and the note of each kept volume by its number */
export function unfinishedUpgrade(said: string, kept: readonly Kept[], wanted: string): string | undefined {
  const of = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(said)?.[1]?.trim() ?? "";
  const begun = kept
    .filter((_, at) => of(String(at)).includes(ALL_IS_KEPT) && !of(String(at)).includes(DATABASE_IS_BACK))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .at(-1);
  if (begun === undefined) return undefined;
  if (of("version") === wanted && of("emptied") === "") return undefined;
  const { name, from, to, isBack } = begun;
  const what = isBack
    ? `The way back from PostgreSQL ${from} to ${to}`
    : `An upgrade from PostgreSQL ${from} to ${to}`;
  const setBack = !isBack && wanted !== to;
  return [
    `${what} was begun and has not ended. All of the data of before is in the volume ${name}. Nothing was changed.`,
    ...(setBack
      ? [`budgie:postgresVersion is ${wanted} meanwhile, and the volume is not that server's.`]
      : []),
    "Go on with it:",
    ...(setBack ? [`  npm run pulumi -- config set budgie:postgresVersion ${to}`] : []),
    isBack ? "  npx budgie upgrade --undo" : "  npx budgie upgrade",
    ...(isBack ? [] : [`Or go back to PostgreSQL ${from}:`, "  npx budgie upgrade --undo"]),
  ].join("\n");
}
