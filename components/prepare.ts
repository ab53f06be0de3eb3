import * as pulumi from "@pulumi/pulumi";
import { PROJECT_FOLDER, type Settings } from "../settings.ts";
import { backupDirectoryPath, createBackupDirectory, sharedDirectoryProblem } from "./backup-directory.ts";
import { bucketOwnership } from "./bucket-owner.ts";
import {
  type DroppedInput,
  type Engine,
  engineClient,
  engineTraits,
  findEngine,
  unreachable,
} from "./engine.ts";
import { startStopped, takesItsPassword } from "./healthy-database.ts";
import { otherDataProblem, rememberedData, wantedData } from "./known-data.ts";
import { lostVolumeProblem } from "./lost-volume.ts";
import { namePrefixProblem } from "./name-prefix.ts";
import { otherDatabaseProblem } from "./other-database.ts";
import { type OwnState, readOwnState } from "./own-state.ts";
import { type PinnedImages, pinnedImages } from "./pinned-images.ts";
import { type PublishedPort, portProblem } from "./published-port.ts";
import { Refusal } from "./refusal.ts";
import { retaggedImageProblem } from "./retagged-image.ts";
import { otherEngineProblem } from "./same-engine.ts";
import { isStopped } from "./stopped-container.ts";
import { storeLacks } from "./store-lacks.ts";

export interface Prepared {
  engine: Engine;
  /** What the engine does not carry out; nothing when it did not answer. */
  dropped: readonly DroppedInput[];
  pins: PinnedImages;
  /** Whether the database does not take its password any more, which no input of Pulumi's shows. */
  passwordAgain: boolean;
  /** Whether the API is stopped: some engines start the same container again, and it must answer once more. */
  apiAgain: boolean;
  /** Absolute, on the engine's machine. */
  backupDirectory: string;
  bucketLook: BucketLook;
  /** What the object store does not do for backups, one sentence each. */
  storeLacks: string[];
}

/** What is known of the bucket before it is declared. */
export interface BucketLook {
  /** Whether it is there already; it is this stack's then. */
  exists: boolean;
  /** Whether there were no credentials to look with. Only ever in a preview: an update is refused without. */
  withoutCredentials: boolean;
}

/**
 * Looks at the machine before anything is declared, so that what would fail half-way is refused while nothing has been
 * touched. A preview only warns, and makes nothing: it may run on another machine. Throws a `Refusal`.
 */
export async function prepare(settings: Settings): Promise<Prepared> {
  const { namePrefix } = settings;
  try {
    const [engine, state] = await Promise.all([findEngine(settings.engineHost), readOwnState()]);
    if (!engine.reachable) refuse(unreachable(engine));
    const backupDirectory = backupDirectoryPath(engine, settings.backupDir, PROJECT_FOLDER);
    const [problems, passwordOpens, apiAgain, traits, pins] = await Promise.all([
      problemsOf(engine, settings, state, backupDirectory),
      takesItsPassword(engine, state, namePrefix),
      engine.reachable && isStopped(engineClient(engine.host).getContainer(`${namePrefix}-backend`)),
      engine.reachable ? engineTraits(engine) : undefined,
      pinnedImages(engine),
    ]);
    for (const problem of problems) if (problem) refuse(problem.says, problem.inPreview);
    if (!pulumi.runtime.isDryRun()) createBackupDirectory(engine, backupDirectory);
    const bucketLook = await lookAtOwnBucket(settings);
    const started = !pulumi.runtime.isDryRun() && (await startStopped(engine, state, namePrefix));
    const passwordAgain = !(started ? await takesItsPassword(engine, state, namePrefix) : passwordOpens);
    const lacks = storeLacks(settings.objectStore, settings.ssh !== undefined);
    if (pulumi.runtime.isDryRun()) for (const sentence of lacks) pulumi.log.warn(sentence);
    const dropped = traits?.dropped ?? [];
    const again = { passwordAgain, apiAgain };
    return { engine, dropped, pins, ...again, backupDirectory, bucketLook, storeLacks: lacks };
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

interface Problem {
  says: string;
  /** Whether a preview is refused for it too. It is for what is as true on any other machine. */
  inPreview: boolean;
}

/**
 * Each asks the engine for something of its own, and none waits for another where it need not. The first that is there is the
 * one to be told.
 */
function problemsOf(
  engine: Engine,
  settings: Settings,
  state: OwnState,
  backupDirectory: string,
): Promise<(Problem | undefined)[]> {
  const { stack, namePrefix, engineHost } = settings;
  const here = async (asked: Promise<string | undefined>) => {
    const says = await asked;
    return says === undefined ? undefined : { says, inPreview: false };
  };
  const other = otherEngineProblem(engine, stack);
  const otherEngine = async () => {
    const found = await other;
    // A preview may run on a machine with an engine of its own. Another address in the settings is no such accident.
    return found && { says: found.problem, inPreview: Boolean(engineHost) && engineHost !== found.ownHost };
  };
  const otherData = async () => {
    const remembered = rememberedData(state);
    if (!remembered) return undefined;
    const left = otherDataProblem(remembered, wantedData(settings), stack);
    if (left) return { says: left, inPreview: true };
    if (!engine.reachable || (await other)) return undefined;
    const lost = await lostVolumeProblem(engine, remembered, stack);
    return lost === undefined ? undefined : { says: lost, inPreview: true };
  };
  return Promise.all([
    otherEngine(),
    otherData(),
    here(retaggedImageProblem(engine, state, namePrefix)),
    here(namePrefixProblem(engine, namePrefix, stack)),
    ...publishedPorts(settings).map(port => here(portProblem(engine, namePrefix, port))),
    here(sharedDirectoryProblem(engine, namePrefix, backupDirectory)),
    here(otherDatabaseProblem(engine, namePrefix)),
  ]);
}

function publishedPorts({ httpAddress, httpPort, databasePort }: Settings): PublishedPort[] {
  const api = { what: "the API", role: "backend", setting: "httpPort" } as const;
  const database = { what: "the database", role: "database", setting: "databasePort" } as const;
  return [
    { ...api, address: httpAddress, port: httpPort },
    ...(databasePort === undefined ? [] : [{ ...database, address: "127.0.0.1", port: databasePort }]),
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

function refuse(problem: string, inPreview = false): void {
  if (inPreview || !pulumi.runtime.isDryRun()) throw new Error(problem);
  pulumi.log.warn(problem);
}
