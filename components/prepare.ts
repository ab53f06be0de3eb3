import * as pulumi from "@pulumi/pulumi";
import { PROJECT_FOLDER, type Settings } from "../settings.ts";
import { backupDirectoryPath, createBackupDirectory, sharedDirectoryProblem } from "./backup-directory.ts";
import { bucketOwnership } from "./bucket-owner.ts";
import { type DroppedInput, type Engine, engineTraits, findEngine, unreachable } from "./engine.ts";
import { namePrefixProblem } from "./name-prefix.ts";
import { otherDatabaseProblem } from "./other-database.ts";
import { type PinnedImages, pinnedImages } from "./pinned-images.ts";
import { type PublishedPort, portProblem } from "./published-port.ts";
import { Refusal } from "./refusal.ts";
import { otherEngineProblem } from "./same-engine.ts";
import { storeLacks } from "./store-lacks.ts";

export interface Prepared {
  engine: Engine;
  /** What the engine does not carry out; nothing when it did not answer. */
  dropped: readonly DroppedInput[];
  pins: PinnedImages;
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
  try {
    const engine = await findEngine(settings.engineHost);
    if (!engine.reachable) refuse(unreachable(engine));
    const backupDirectory = backupDirectoryPath(engine, settings.backupDir, PROJECT_FOLDER);
    const [problems, traits, pins] = await Promise.all([
      problemsOf(engine, settings, backupDirectory),
      engine.reachable ? engineTraits(engine) : undefined,
      pinnedImages(engine),
    ]);
    for (const problem of problems) if (problem) refuse(problem);
    if (!pulumi.runtime.isDryRun()) createBackupDirectory(engine, backupDirectory);
    const bucketLook = await lookAtOwnBucket(settings);
    const lacks = storeLacks(settings.objectStore, settings.ssh !== undefined);
    if (pulumi.runtime.isDryRun()) for (const sentence of lacks) pulumi.log.warn(sentence);
    const dropped = traits?.dropped ?? [];
    return { engine, dropped, pins, backupDirectory, bucketLook, storeLacks: lacks };
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

/** Each asks the engine for something of its own, and none waits for another. The first that is there is the one to be told. */
function problemsOf(
  engine: Engine,
  settings: Settings,
  backupDirectory: string,
): Promise<(string | undefined)[]> {
  const { stack, namePrefix } = settings;
  return Promise.all([
    otherEngineProblem(engine, stack),
    namePrefixProblem(engine, namePrefix, stack),
    ...publishedPorts(settings).map(port => portProblem(engine, namePrefix, port)),
    sharedDirectoryProblem(engine, namePrefix, backupDirectory),
    otherDatabaseProblem(engine, namePrefix),
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

function refuse(problem: string): void {
  if (!pulumi.runtime.isDryRun()) throw new Error(problem);
  pulumi.log.warn(problem);
}
