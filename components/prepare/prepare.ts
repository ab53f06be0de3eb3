import * as pulumi from "@pulumi/pulumi";
import { engineClient } from "../../engine/client.ts";
import { type Engine, findEngine, unreachable } from "../../engine/find-engine.ts";
import { isStopped } from "../../engine/stopped-container.ts";
import { type DroppedInput, engineTraits } from "../../engine/traits.ts";
import { upgradeVolume } from "../../engine/upgrade-volume.ts";
import { Refusal } from "../../settings/refusal.ts";
import type { Settings } from "../../settings.ts";
import { firstStackName } from "../../shared/first-stack-name.ts";
import { containerName, type Role } from "../../shared/names.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { shownUpgrade, UPGRADE_VARIABLE } from "../../shared/upgrade.ts";
import { type BackupPlace, backupPlace } from "../containers/backup-place.ts";
import { checksumVariables } from "../containers/data-checksums.ts";
import type { Within } from "../containers/within.ts";
import { type PinnedImages, pinnedImages } from "../images/pinned-images.ts";
import { type ImageTriggers, imageTriggers, otherLibraryProblem } from "../images/pulled-image.ts";
import { type ManagedLook, NOTHING_LEFT } from "../managed/parts.ts";
import type { BucketLook } from "../offsite/bucket-look.ts";
import { bucketOwnership } from "../offsite/bucket-owner.ts";
import { storeLacks } from "../offsite/store-lacks.ts";
import {
  backendsProblem,
  backendsStopped,
  connectionsProblem,
  makeWayForBackends,
  severalBackends,
} from "./backends.ts";
import { removeUnknownBackends } from "./backends-leftovers.ts";
import { createBackupDirectory, requireUsableDirectory, sharedDirectoryProblem } from "./backup-directory.ts";
import { startStopped, takesItsPassword } from "./healthy-database.ts";
import { inTheWayProblem } from "./in-the-way.ts";
import { isOnlyVersion, type KnownData, otherDataProblem, rememberedData, wantedData } from "./known-data.ts";
import { reopenBackupDirectory } from "./lost-directory.ts";
import { lostVolumeProblem } from "./lost-volume.ts";
import { describeLost, type LostContainer, lostContainers, makeWay, placeMarks } from "./made-again.ts";
import { namePrefixProblem } from "./name-prefix.ts";
import { removeOldImages } from "./old-images.ts";
import { otherDatabaseProblem } from "./other-database.ts";
import { type PublishedPort, portProblem } from "./published-port.ts";
import { refreshDirectoryPath, refreshProblem } from "./refresh-directory.ts";
import { lookAtReplicas, type PreparedReplica } from "./replica-engines.ts";
import { retaggedImageProblem } from "./retagged-image.ts";
import { otherEngineProblem } from "./same-engine.ts";
import { knownImages, readStackState, type StackState } from "./stack-state.ts";
import { unfinishedUpgradeProblem } from "./unfinished-upgrade.ts";
import { otherVersionProblem } from "./volume-version.ts";

export interface Prepared {
  /** With the name that the stack was first given. */
  settings: Settings;
  engine: Engine;
  /** What the engine does not carry out; nothing when it did not answer. */
  dropped: readonly DroppedInput[];
  pins: PinnedImages;
  triggers: ImageTriggers;
  /** The containers that something else than the stack removed or made again; they are made anew. */
  lost: ReadonlySet<Role>;
  marks: Partial<Record<Role, string>>;
  /** Whether the database no longer takes its password. No input of Pulumi's shows that. */
  passwordAgain: boolean;
  /** Whether the API is stopped: some engines start the same container again, and it must answer once more. */
  apiAgain: boolean;
  /** Where there is more than one backend: how many, and the node of the swarm on which they run. */
  several: { backends: number; node: string } | undefined;
  backupPlace: BackupPlace;
  /** That of the stack whose data this one takes over; undefined where there is none. */
  refreshDirectory: string | undefined;
  /** What the image is told for the case that it fills a new volume. */
  newVolume: string[];
  bucketLook: BucketLook;
  managedLook: ManagedLook;
  /** What the object store does not do for backups, one sentence each. */
  storeLacks: string[];
  replicas: PreparedReplica[];
}

/**
 * Looks at the machine before anything is declared, so that what would fail half-way is refused while nothing has been
 * touched. A preview only warns, and makes nothing: it may run on another machine. Throws a `Refusal`.
 */
export async function prepare(read: Settings, within: Within): Promise<Prepared> {
  const { namePrefix } = read;
  try {
    const [engine, state] = await Promise.all([findEngine(read.engineHost), readStackState(within)]);
    const settings = underFirstName(read, state);
    if (!engine.reachable) refuse(unreachable(engine));
    const place = backupPlace(engine, settings, PROJECT_FOLDER);
    const [problems, found, apiAgain, traits, pins, triggers, replicas] = await Promise.all([
      problemsOf(engine, settings, state, { backupDirectory: place.source, within }),
      takesItsPassword(engine, state, namePrefix),
      engine.reachable && apiStopped(engine, namePrefix),
      engine.reachable ? engineTraits(engine) : undefined,
      pinnedImages(engine),
      imageTriggers(engine, knownImages(state)),
      lookAtReplicas(engine, settings, knownImages(state)),
    ]);
    for (const { problem } of replicas) if (problem) refuse(problem);
    for (const problem of problems) if (problem) refuse(problem.says, problem.inPreview);
    if (!pulumi.runtime.isDryRun()) {
      await removeOldImages(engine, state, namePrefix);
      createBackupDirectory(engine, place.source);
      await requireUsableDirectory(engine, place.source, settings.backupDir, settings.backupFormat);
      if (await reopenBackupDirectory(engine, namePrefix, place.source)) pulumi.log.warn(LOST_DIRECTORY);
    }
    const several = await severalBackends(engine, settings);
    const bucketLook = await lookAtOwnBucket(settings);
    const managedLook = await lookAtOwnManaged(settings, state);
    if (!pulumi.runtime.isDryRun()) {
      await makeWayForBackends(engine, settings);
      await removeUnknownBackends(engine, state, namePrefix);
    }
    const lost = await makeWayForLost(engine, settings, state, problems);
    // On a volume that an upgrade has emptied, the old server would make a new database.
    const upgrading = engine.reachable && (await upgradeVolume(engineClient(engine.host), namePrefix));
    const started =
      !pulumi.runtime.isDryRun() && !upgrading && (await startStopped(engine, state, namePrefix));
    const opening = started ? await takesItsPassword(engine, state, namePrefix) : found;
    if (opening.notice) pulumi.log.warn(opening.notice);
    const passwordAgain = !opening.opens;
    const lacks = storeLacks(settings.objectStore, settings.ssh !== undefined);
    if (pulumi.runtime.isDryRun()) for (const sentence of lacks) pulumi.log.warn(sentence);
    const dropped = traits?.dropped ?? [];
    const again = { passwordAgain, apiAgain, several };
    const places = { lost: new Set(lost.map(({ role }) => role)), marks: placeMarks(state, lost) };
    const database = state.resource("docker:index/container:Container", "database-container");
    const newVolume = checksumVariables(database?.outputs.envs);
    const looked = { newVolume, bucketLook, managedLook, storeLacks: lacks, replicas };
    const folders = { backupPlace: place, refreshDirectory: refreshDirectoryPath(settings.refresh) };
    return { settings, engine, dropped, pins, triggers, ...places, ...again, ...folders, ...looked };
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

async function apiStopped(engine: Engine, namePrefix: string): Promise<boolean> {
  const container = engineClient(engine.host).getContainer(containerName(namePrefix, "backend"));
  return (await isStopped(container)) || (await backendsStopped(engine, namePrefix));
}

function underFirstName(settings: Settings, state: StackState): Settings {
  const first = firstStackName((type, name) => state.resource(type, name)?.outputs) ?? settings.stack;
  if (first !== settings.stack)
    pulumi.log.info(
      `Stack ${settings.stack} was called ${first} before. Its backups, its containers and its commands go by that name: npx budgie --stack ${first}`,
    );
  return { ...settings, stack: first };
}

const LOST_DIRECTORY =
  "The backup directory was removed or moved while the backup agent ran, so the agent was started anew. Whether backups are missing: npx budgie status";

/** On another engine than the stack's own nothing of it is there, and so nothing of it is lost. */
async function makeWayForLost(
  engine: Engine,
  { namePrefix, stack }: Settings,
  state: StackState,
  [otherEngine]: readonly (Problem | undefined)[],
): Promise<LostContainer[]> {
  if (otherEngine) return [];
  const lost = await lostContainers(engine, state, namePrefix, stack);
  const says = describeLost(lost, namePrefix);
  if (says) pulumi.log.warn(says);
  if (!pulumi.runtime.isDryRun()) await makeWay(engine, state, namePrefix, lost);
  return lost;
}

interface Problem {
  says: string;
  /** Whether a preview is refused for it too. It is for what is as true on any other machine. */
  inPreview: boolean;
}

/**
 * Each check asks the engine by itself, and waits for another only where it must. The operator is told of the first
 * problem.
 */
function problemsOf(
  engine: Engine,
  settings: Settings,
  state: StackState,
  { backupDirectory, within }: { backupDirectory: string; within: Within },
): Promise<(Problem | undefined)[]> {
  const { stack, namePrefix, engineHost } = settings;
  const here = async (asked: Promise<string | undefined>) => {
    const says = await asked;
    return says === undefined ? undefined : { says, inPreview: false };
  };
  const other = otherEngineProblem(engine, stack, within);
  const otherEngine = async () => {
    const found = await other;
    // A preview may run on a machine with an engine of its own. Another address in the settings is no such accident.
    return found && { says: found.problem, inPreview: Boolean(engineHost) && engineHost !== found.ownHost };
  };
  const otherData = async () => {
    const remembered = rememberedData(state);
    const wanted = wantedData(settings);
    if (!remembered) {
      if (settings.managed) return undefined;
      const other = await otherVersionProblem(engine, wanted);
      return other === undefined ? undefined : { says: other, inPreview: false };
    }
    if (await isUpgrading(engine, remembered.data, wanted)) return undefined;
    const left = otherDataProblem(remembered, wanted, stack);
    if (left) return { says: left, inPreview: true };
    if (settings.managed || !engine.reachable || (await other)) return undefined;
    const lost = await lostVolumeProblem(engine, remembered, stack);
    return lost === undefined ? undefined : { says: lost, inPreview: true };
  };
  const unfinishedUpgrade = async () => {
    if (settings.managed) return undefined;
    const says = await unfinishedUpgradeProblem(engine, wantedData(settings));
    // A preview sees the same volumes, or is on another machine and sees none of them.
    return says === undefined ? undefined : { says, inPreview: true };
  };
  return Promise.all([
    otherEngine(),
    unfinishedUpgrade(),
    otherData(),
    here(retaggedImageProblem(engine, state, namePrefix)),
    here(otherLibraryProblem(engine, knownImages(state).get("database-image"))),
    here(namePrefixProblem(engine, namePrefix, stack)),
    here(inTheWayProblem(engine, state, namePrefix)),
    here(backendsProblem(engine, settings)),
    here(connectionsProblem(engine, settings)),
    ...publishedPorts(settings).map(port => here(portProblem(engine, namePrefix, port))),
    here(sharedDirectoryProblem(engine, namePrefix, backupDirectory)),
    here(otherDatabaseProblem(engine, namePrefix)),
    here(Promise.resolve(refreshProblem(engine, stack, settings.refresh, backupDirectory))),
  ]);
}

/** Whether `npx budgie upgrade` does what is refused otherwise. It asks for a preview before it has kept anything. */
async function isUpgrading(engine: Engine, known: KnownData, wanted: KnownData): Promise<boolean> {
  const upgrade = shownUpgrade({ from: known.majorVersion, to: wanted.majorVersion });
  if (process.env[UPGRADE_VARIABLE] !== upgrade || !isOnlyVersion(known, wanted)) return false;
  if (known.majorVersion === wanted.majorVersion) return false;
  if (pulumi.runtime.isDryRun()) return true;
  return (
    engine.reachable && (await upgradeVolume(engineClient(engine.host), wanted.namePrefix)) !== undefined
  );
}

function publishedPorts({
  backend,
  httpAddress,
  httpPort,
  databasePort,
  statusPort,
  replicas,
}: Settings): PublishedPort[] {
  const api = { what: "the API", role: "backend", setting: "httpPort" } as const;
  const database = { what: "the database", role: "database", setting: "databasePort" } as const;
  const status = { what: "the status page", role: "backup-agent", setting: "statusPort" } as const;
  const forReplicas = {
    what: "the database for its replicas",
    role: "database",
    setting: "replicationPort",
  } as const;
  return [
    ...(backend.from === "none" ? [] : [{ ...api, address: httpAddress, port: httpPort }]),
    ...(databasePort === undefined ? [] : [{ ...database, address: "127.0.0.1", port: databasePort }]),
    ...(statusPort === undefined ? [] : [{ ...status, address: "127.0.0.1", port: statusPort }]),
    ...(replicas === undefined ? [] : [{ ...forReplicas, address: replicas.address, port: replicas.port }]),
  ];
}

/** Another stack's bucket is refused in a preview as well: it is the same from every machine. */
async function lookAtOwnBucket({ objectStore, ...stack }: Settings): Promise<BucketLook> {
  if (objectStore.kind !== "aws" && objectStore.kind !== "s3")
    return { exists: false, withoutCredentials: false };
  const ownership = await bucketOwnership(objectStore, stack);
  if (ownership.is === "refused") throw new Error(ownership.problem);
  if (ownership.is === "unsure") refuse(ownership.problem);
  if (ownership.is === "own" && ownership.note) pulumi.log.info(ownership.note);
  return {
    exists: ownership.is === "own",
    withoutCredentials: ownership.is === "unsure" && ownership.withoutCredentials,
  };
}

/** Amazon's client takes a while to load, and a stack with a container of its own has no use for it. */
async function lookAtOwnManaged(settings: Settings, state: StackState): Promise<ManagedLook> {
  if (settings.managed === undefined) return NOTHING_LEFT;
  const { leftOfManaged } = await import("./managed-left.ts");
  return leftOfManaged(settings, state);
}

function refuse(problem: string, inPreview = false): void {
  if (inPreview || !pulumi.runtime.isDryRun()) throw new Error(problem);
  pulumi.log.warn(problem);
}
