import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { parseArgs } from "node:util";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { holdsPlaintext, type KeptState, keptState } from "../../shared/kept-state.ts";
import { LABEL, labelledAs } from "../../shared/labels.ts";
import { failureLines } from "../../shared/marked-lines.ts";
import { agentCommand } from "../../shared/names.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { stackVersion } from "../../shared/stack-version.ts";
import { say, sayWarning } from "../machine/say.ts";
import { askPulumi } from "./ask-pulumi.ts";
import { type ExportedState, engineHost } from "./leftovers.ts";
import { type Deployment, stackNameBefore } from "./renamed-stack.ts";

/** Which stack Pulumi was called for, and where its settings are. */
export interface CalledFor {
  /** The selected one when not said. */
  stack: string | undefined;
  configFile: string | undefined;
}

/** Null for a call that brings no stack up. */
export function upCall(args: readonly string[]): CalledFor | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { stack: { type: "string", short: "s" }, "config-file": { type: "string" } },
    strict: false,
    allowPositionals: true,
  });
  if (!["up", "update"].includes(positionals[0] ?? "")) return null;
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return { stack: text(values.stack), configFile: text(values["config-file"]) };
}

/**
 * Gives the agent the state that an `up` has just written, and the settings, to keep beside the backups. Secrets stay as Pulumi has encrypted
 * them. It is done after the `up` and not in it, because until then the state is still being written. That it failed is a warning: the
 * stack is up.
 */
export async function keepState(
  env: NodeJS.ProcessEnv,
  { stack: named, configFile }: CalledFor,
): Promise<void> {
  try {
    const stack = named ?? (await selected(env));
    const kept = await exportStack(env, stack, configFile);
    const name = await handOver(kept);
    if (name) say(`The stack's state is kept with the backups: ${name}`);
  } catch (error) {
    sayWarning(
      `The stack is up, but its state could not be kept with the backups: ${(error as Error).message} The next up tries again.`,
    );
  }
}

async function selected(env: NodeJS.ProcessEnv): Promise<string> {
  return (await askPulumi(env, ["stack", "--show-name"])).trim();
}

async function exportStack(
  env: NodeJS.ProcessEnv,
  stack: string,
  configFile: string | undefined,
): Promise<KeptState> {
  const state: unknown = JSON.parse(await askPulumi(env, ["stack", "export", "--stack", stack]));
  if (holdsPlaintext(state)) throw new Error("Pulumi exported a secret that is not encrypted.");
  const name = stack.split("/").at(-1) ?? stack;
  const file = configFile ?? `Pulumi.${name}.yaml`;
  const path = isAbsolute(file) ? file : join(PROJECT_FOLDER, file);
  return keptState.parse({
    format: 1,
    stack: name,
    stackVersion: stackVersion(),
    at: new Date().toISOString(),
    settings: existsSync(path) ? await readFile(path, "utf8") : null,
    state,
  });
}

/** Returns the name that the agent gave it; nothing where it has the same already. */
async function handOver(kept: KeptState): Promise<string> {
  const state = kept.state as ExportedState;
  const client = engineClient((await findEngine(engineHost(state))).host);
  const stack = stackNameBefore(kept.state.deployment as Deployment) ?? kept.stack;
  const label = [labelledAs(LABEL.stack, stack), labelledAs(LABEL.role, "backup-agent")];
  const agents = await client.listContainers({ filters: { label } });
  const known = new Set((state.deployment.resources ?? []).map(({ id }) => id));
  const agent = agents.find(({ Id: id }) => known.has(id));
  if (!agent) throw new Error("The backup agent does not run.");
  const content = Buffer.from(`${JSON.stringify(kept)}\n`);
  const { code, stdout, stderr } = await collectFromContainer(
    client.getContainer(agent.Id),
    agentCommand("keep-state"),
    content,
  );
  if (code !== EXIT.done) throw new Error(failureLines(stderr)?.[0] ?? `exit code ${code}.`);
  return stdout.trim();
}
