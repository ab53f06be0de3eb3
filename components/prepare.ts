import * as pulumi from "@pulumi/pulumi";
import { PROJECT_FOLDER, type Settings } from "../settings.ts";
import { backupDirectoryPath, createBackupDirectory } from "./backup-directory.ts";
import { type Engine, findEngine, unreachable } from "./engine.ts";
import { httpPortProblem } from "./http-port.ts";
import { namePrefixProblem } from "./name-prefix.ts";
import { Refusal } from "./refusal.ts";

/**
 * Looks at the machine before anything is declared, so that what would fail half-way is refused while nothing has been
 * touched. A preview only warns, and makes nothing: it may run on another machine. Throws a `Refusal`.
 */
export async function prepare(settings: Settings): Promise<{ engine: Engine; backupDirectory: string }> {
  try {
    const engine = await findEngine(settings.engineHost);
    if (!engine.reachable) refuse(unreachable(engine));
    const prefixProblem = await namePrefixProblem(engine, settings.namePrefix, settings.stack);
    if (prefixProblem) refuse(prefixProblem);
    const http = { address: settings.httpAddress, port: settings.httpPort };
    const portProblem = await httpPortProblem(engine, settings.namePrefix, http);
    if (portProblem) refuse(portProblem);
    const backupDirectory = backupDirectoryPath(engine, settings.backupDir, PROJECT_FOLDER);
    if (!pulumi.runtime.isDryRun()) createBackupDirectory(engine, backupDirectory);
    return { engine, backupDirectory };
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

function refuse(problem: string): void {
  if (!pulumi.runtime.isDryRun()) throw new Error(problem);
  pulumi.log.warn(problem);
}
