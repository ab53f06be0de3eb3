// npm run recover: after a pulumi that was killed while it worked on a stack. Touches no volume and no backup.

import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { parseArgs } from "node:util";
import { execa } from "execa";
import { engineClient } from "../../engine/client.ts";
import { findEngine, unreachable } from "../../engine/find-engine.ts";
import { PROJECT_FOLDER, STATE_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../machine/environment.ts";
import { STACK } from "../machine/local-state.ts";
import { needsOf } from "../machine/needs.ts";
import { ownHome } from "../machine/pulumi-home.ts";
import { runThrough } from "../machine/run-tool.ts";
import { runMain, say, sayDone, ToolchainError } from "../machine/say.ts";
import {
  type ExportedState,
  engineHost,
  knownIds,
  type PendingCreate,
  pendingCreates,
  removeLeftovers,
} from "./leftovers.ts";
import { endPlugins, orphanedPlugins } from "./orphaned-plugins.ts";
import { withoutSalt } from "./stack-file.ts";
import { removeCutOffAttributes } from "./state-attributes.ts";
import { mayStillRun, readLocks } from "./state-lock.ts";

const { values: options } = parseArgs({
  options: { stack: { type: "string", default: STACK }, "config-file": { type: "string" } },
});
const { stack } = options;
const onStack = ["--stack", stack];
const configured = options["config-file"] ? ["--config-file", options["config-file"]] : [];

/**
 * In this order, so that the same command goes on after it was killed itself. The state's pending creations and the
 * lock's time tell what the killed update had just made, and both stay until nothing needs them.
 */
await runMain(async () => {
  const env = await toolchainEnvironment({ needs: await needsOf(PROJECT_FOLDER, process.argv.slice(2)) });
  const root = stateRoot(env);
  const since = root === undefined ? undefined : await beginOfKilledUpdate(root);
  await endOrphans(env.PULUMI_HOME ?? ownHome());
  if (root !== undefined) await removeCutOffAttributes(root);
  const state = await exportState(env);
  const pending = pendingCreates(state);
  await remove(state, pending, since);
  return withoutSalt([join(PROJECT_FOLDER, `Pulumi.${stack}.yaml`)], async () => {
    // With a state of files nothing runs any more, as was seen; any other asks the operator.
    const sure = root === undefined ? [] : ["--yes", "--non-interactive"];
    const cancelled = await runThrough("pulumi", ["cancel", ...onStack, ...sure], env);
    if (cancelled !== 0) return cancelled;
    const refresh = ["refresh", "--clear-pending-creates", "--yes", "--skip-preview"];
    const refreshed = await runThrough("pulumi", [...refresh, ...onStack, ...configured], env);
    if (refreshed !== 0) return refreshed;
    // An engine carries out what it was asked for, even when who asked is gone by then.
    await remove(state, pending, since);
    sayDone(`Pulumi's state of ${stack} is what is really there. What to type next:`);
    say(stack === STACK ? "    npm run up" : `    npm run pulumi -- up --stack ${stack}`);
    return 0;
  });
});

/**
 * The folder of a state that is kept in files. There must be one: of any other state nobody could say who is at work on
 * it.
 */
function stateRoot(env: NodeJS.ProcessEnv): string | undefined {
  const url = env.PULUMI_BACKEND_URL;
  if (url && !url.startsWith("file://")) return undefined;
  const path = url ? url.slice("file://".length) : STATE_FOLDER;
  const root = isAbsolute(path) ? path : join(PROJECT_FOLDER, path);
  return existsSync(join(root, ".pulumi")) ? root : undefined;
}

/** Throws while an update may still run. Undefined when none left a lock that says when it began. */
async function beginOfKilledUpdate(root: string): Promise<Date | undefined> {
  const locks = (await readLocks(root, stack)).filter(lock => lock !== null);
  for (const lock of locks) {
    const why = await mayStillRun(lock);
    if (!why) continue;
    throw new ToolchainError(
      `The stack ${stack} cannot be recovered yet. ${why} Nothing was changed. Wait for it; or, if it is gone for certain:\n` +
        `    npm run pulumi -- cancel --stack ${stack}\n    npm run recover`,
    );
  }
  const times = locks.map(({ timestamp }) => new Date(timestamp).getTime()).filter(Number.isFinite);
  return times.length > 0 ? new Date(Math.min(...times)) : undefined;
}

/** What a killed update's plugins were asked for ends with them, so that nothing changes behind what comes next. */
async function endOrphans(pulumiHome: string): Promise<void> {
  const orphans = await orphanedPlugins(pulumiHome);
  if (orphans.length === 0) return;
  await endPlugins(orphans);
  const names = orphans.map(({ name, pid }) => `${name} (process ${pid})`).join(", ");
  sayDone(`Ended the plugins that the killed update left running: ${names}`);
}

async function exportState(env: NodeJS.ProcessEnv): Promise<ExportedState> {
  const exported = await execa("pulumi", ["stack", "export", ...onStack, "--non-interactive"], {
    cwd: PROJECT_FOLDER,
    env,
    extendEnv: false,
    reject: false,
  });
  if (exported.failed) {
    throw new ToolchainError(
      `Pulumi's state of ${stack} cannot be read. Nothing was changed.\n${exported.stderr}`,
    );
  }
  return JSON.parse(exported.stdout) as ExportedState;
}

async function remove(
  state: ExportedState,
  pending: readonly PendingCreate[],
  since: Date | undefined,
): Promise<void> {
  if (pending.length === 0) return;
  const engine = await findEngine(engineHost(state));
  if (!engine.reachable) throw new ToolchainError(`${unreachable(engine)}\nNothing was changed.`);
  await removeLeftovers(engineClient(engine.host), pending, knownIds(state), since);
}
