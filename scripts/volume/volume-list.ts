import { engineClient } from "../../engine/client.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { backupRecordsVolumeName, databaseVolumeName, objectStoreVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { type KeptVolume, keptVolumes } from "./broken-volume.ts";
import { shownFacts, volumeFacts } from "./volume-facts.ts";
import { askVolumes } from "./volume-work.ts";

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Shows the volumes of a stack that are there, each with its size and every container that has it. */
export async function listVolumes(stack: Stack): Promise<void> {
  const client = engineClient(stack.engine.host);
  const known = [
    { volume: databaseVolumeName(stack.prefix), what: "the database" },
    { volume: objectStoreVolumeName(stack.prefix), what: "the stack's own object store" },
    { volume: backupRecordsVolumeName(stack.prefix), what: "which backups there are" },
    ...(await keptVolumes(stack)).map(kept => ({ volume: kept.name, what: holds(kept) })),
  ];
  const there = await Promise.all(
    known.map(async entry =>
      (await unlessMissing(client.getVolume(entry.volume).inspect())) ? [entry] : [],
    ),
  );
  const found = there.flat().map((entry, at) => ({ ...entry, path: `/volumes/${at}` }));
  if (found.length === 0) throw missing(stack);
  const sizes = await askVolumes(stack, { volumes: found, script: "du -sh /volumes/*" });
  const rows = await Promise.all(
    found.map(async ({ volume, what, path }) => {
      const size = sizes.split("\n").find(line => line.endsWith(`\t${path}`));
      return [volume, size?.split("\t")[0] ?? "unknown", what, (await shownUsers(stack, volume)).join(", ")];
    }),
  );
  for (const line of inColumns([["VOLUME", "SIZE", "HOLDS", "USED BY"], ...rows])) say(line);
}

function holds({ stage, upgrade }: KeptVolume): string {
  if (stage === "copying") return "a copy that was not finished";
  return upgrade
    ? `the database of PostgreSQL ${upgrade.from}, before ${upgrade.to}`
    : "a broken database, kept aside";
}

/** Shows what is known of the volume of the stack's database. */
export async function inspectVolume(stack: Stack): Promise<void> {
  const volume = databaseVolumeName(stack.prefix);
  const made = await madeVolume(stack);
  const { CreatedAt: createdAt = "unknown" } = made as { CreatedAt?: string };
  say(`Volume: ${volume}`);
  say(`Stack: ${made.Labels?.[LABEL.stack] ?? `${stack.name} (the volume has no label of a stack)`}`);
  say(`Where: ${made.Mountpoint}, made ${createdAt}`);
  say(`Holds: ${shownFacts(await volumeFacts(stack))}`);
  say(`Used by: ${(await shownUsers(stack, volume)).join(", ") || "no container"}`);
}

/** Says how much the volume of the stack's database takes on the engine's disk. */
export async function showVolumeSize(stack: Stack): Promise<void> {
  await madeVolume(stack);
  const { size, kilobytes } = await volumeFacts(stack);
  say(`${size} (${kilobytes * 1024} bytes)`);
}

/** The volume as the engine shows it. Throws a Stop when it is not there. */
export async function madeVolume(stack: Stack) {
  const volume = engineClient(stack.engine.host).getVolume(databaseVolumeName(stack.prefix));
  const found = await unlessMissing(volume.inspect());
  if (!found) throw missing(stack);
  return found;
}

function missing({ engine, prefix, name }: Stack): Stop {
  return new Stop(
    EXIT.engineOrContainerMissing,
    `The volume ${databaseVolumeName(prefix)} of stack ${name} is not on the container engine at ${engine.host}.`,
    "`npm run pulumi -- preview` says whether it was lost, and the ways on.",
  );
}

/** Every container that was made with the volume, and its state; those that do not run as well. */
export async function shownUsers({ engine }: Stack, volume: string): Promise<string[]> {
  const users = await engineClient(engine.host).listContainers({ all: true, filters: { volume: [volume] } });
  return users.map(
    ({ Id: id, Names: [name = id], Status: state }) => `${name.replace(/^\//, "")} (${state})`,
  );
}

function inColumns(rows: readonly (readonly string[])[]): string[] {
  const width = (column: number) => Math.max(...rows.map(row => row[column]?.length ?? 0));
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(width(column)))
      .join("  ")
      .trimEnd(),
  );
}
