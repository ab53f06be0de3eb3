import { engineClient } from "../../engine/client.ts";
import { spelling } from "../../engine/differences.ts";
import { runOnVolumes, type VolumeWork, VolumeWorkRuns } from "../../engine/run-on-volumes.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { DATA_FOLDER, databaseImage } from "../../shared/database-image.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import { majorVersionOf } from "../stack/major-version.ts";
import type { Stack } from "../stack/stack-containers.ts";

export type Work = Pick<VolumeWork, "script" | "environment" | "stdin" | "onOutput"> &
  Partial<Pick<VolumeWork, "volumes" | "writes" | "asPostgres">>;

/**
 * Runs a script on volumes, by default on that of a stack's database, in a container of the database's image. One at a time works on
 * the first of them.
 */
export async function workOnVolumes(
  stack: Stack,
  { writes = false, volumes, ...work }: Work,
): Promise<{ code: number; stderr: string }> {
  const client = engineClient(stack.engine.host);
  const volume = volumes?.[0]?.volume ?? databaseVolumeName(stack.prefix);
  try {
    return await runOnVolumes(client, {
      name: `${volume}-work`,
      image: await imageOf(stack),
      volumes: volumes ?? [{ volume, path: DATA_FOLDER }],
      writes,
      ...work,
    });
  } catch (error) {
    if (!(error instanceof VolumeWorkRuns)) throw error;
    throw new Stop(
      EXIT.busy,
      `Another command is at work on the volume ${volume}: ${error.message}.`,
      `Wait for it to end, then run the same command again. If it does not end: ${stack.engine.kind} rm -f ${volume}-work`,
    );
  }
}

/** What a script says, for short answers. Throws an Error when it fails. */
export async function askVolumes(stack: Stack, work: Omit<Work, "onOutput">): Promise<string> {
  const said: Buffer[] = [];
  const { code, stderr } = await workOnVolumes(stack, {
    ...work,
    onOutput: bytes => {
      said.push(bytes);
    },
  });
  if (code !== 0) throw new Error(`the volume could not be looked at: ${stderr || `exit code ${code}`}`);
  return Buffer.concat(said).toString();
}

/** That of the container that has the volume; without one, that of the stack's program. */
async function imageOf(stack: Stack): Promise<string> {
  const { engine, containers } = stack;
  const own = containers.find(({ role }) => role === "database");
  if (own) return (await own.container.inspect()).Image;
  const name = spelling(engine.kind).image(databaseImage(await majorVersionOf(stack)));
  if (await unlessMissing(engineClient(engine.host).getImage(name).inspect())) return name;
  throw new Stop(
    EXIT.engineOrContainerMissing,
    `The image ${name} is not on this container engine, and nothing else can look into the volume.`,
    `Get it: ${engine.kind} pull ${name}`,
  );
}
