// npm run recover: after a pulumi that was killed while it worked on a stack. Touches no volume and no backup.
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { parseArgs } from "node:util";
import { execa } from "execa";
import { engineClient, findEngine, unreachable } from "../components/engine.ts";
import { toolchainEnvironment } from "./environment.ts";
import {
  type ExportedState,
  engineHost,
  knownIds,
  type PendingCreate,
  pendingCreates,
  removeLeftovers,
} from "./leftovers.ts";
import { STACK, stateFolder } from "./local-state.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain, say, sayDone, ToolchainError } from "./say.ts";
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
 * In this order, so that the same command again goes on after a kill of its own: what the killed update had just made is told
 * by the state's pending creations and by the lock's time, and both are there until nothing needs them.
 */
await runMain(async () => {
  const env = await toolchainEnvironment();
  const root = stateRoot(env);
  const since = root === undefined ? undefined : await beginOfKilledUpdate(root);
  if (root !== undefined) await removeCutOffAttributes(root);
  const state = await exportState(env);
  const pending = pendingCreates(state);
  await remove(state, pending, since);
  return withoutSalt(join(projectFolder, `Pulumi.${stack}.yaml`), async () => {
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

/** The folder of a state of files, for which there must be one: else nothing could be said of who is at work on it. */
function stateRoot(env: NodeJS.ProcessEnv): string | undefined {
  const url = env.PULUMI_BACKEND_URL;
  if (url && !url.startsWith("file://")) return undefined;
  const path = url ? url.slice("file://".length) : stateFolder;
  const root = isAbsolute(path) ? path : join(projectFolder, path);
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

async function exportState(env: NodeJS.ProcessEnv): Promise<ExportedState> {
  const exported = await execa("pulumi", ["stack", "export", ...onStack, "--non-interactive"], {
    cwd: projectFolder,
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
