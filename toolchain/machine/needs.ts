import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { parse } from "yaml";
import { DEFAULT_MAJOR_VERSION, MAJOR_VERSIONS } from "../../shared/database-image.ts";
import { STATE_FOLDER } from "../../shared/project-folder.ts";
import { STACK, stackNames } from "./local-state.ts";

/** What only some stacks need, and what is a large download for the others. */
export interface Needs {
  /** The AWS plugin. */
  aws: boolean;
  /** The image of the store in a container. */
  localStore: boolean;
  /** The major versions of PostgreSQL that settings name, beside the one that every stack begins with. */
  postgres: readonly string[];
}

/** But no version of PostgreSQL that no settings name: each of them is large. */
export const EVERYTHING: Needs = { aws: true, localStore: true, postgres: [] };

/** Where a stack's settings may come from that are not in its file, and another project. */
const ELSEWHERE = /^(--config-file|--config|-c|--cwd|-C)(=|$)/;

/**
 * What the stacks of a project folder need, `npm run up`'s own among them: as their settings say, and for what their state
 * still holds, which Pulumi must be able to remove. What cannot be told counts as needed.
 * @param args what Pulumi is to be called with
 */
export async function needsOf(
  project: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Needs> {
  const postgres = await postgresVersions(project, args);
  if (env.PULUMI_BACKEND_URL || args.some(argument => ELSEWHERE.test(argument)))
    return { ...EVERYTHING, postgres };
  const known = (await stackNames(project)).map(name => name.split("/").at(-1) ?? name);
  const stacks = [...new Set([STACK, ...known])];
  const [stores, databases] = await Promise.all([
    Promise.all(stacks.map(stack => settingOf(project, stack, "objectStore"))),
    Promise.all(stacks.map(stack => settingOf(project, stack, "database"))),
  ]);
  return {
    postgres,
    aws:
      stores.some(store => store !== "local" && store !== "none") ||
      databases.some(database => database !== "container") ||
      (await stateHoldsAws(project)),
    localStore: stores.some(store => store !== "aws" && store !== "s3" && store !== "none"),
  };
}

/** Of every stack's file, whoever's it is: a version that is missing here would be missed half-way. */
async function postgresVersions(project: string, args: readonly string[]): Promise<string[]> {
  const at = args.findIndex(argument => /^--config-file(=|$)/.test(argument));
  const given = at < 0 ? undefined : (args[at]?.split("=")[1] ?? args[at + 1]);
  const own = (await readdir(project)).filter(name => /^Pulumi\.[^.]+\.yaml$/.test(name));
  const files = [...own.map(name => join(project, name)), ...(given ? [resolve(project, given)] : [])];
  const named = await Promise.all(files.map(versionIn));
  return MAJOR_VERSIONS.filter(version => version !== DEFAULT_MAJOR_VERSION && named.includes(version));
}

async function versionIn(file: string): Promise<string | undefined> {
  try {
    const { config } = parse(await readFile(file, "utf8")) as { config?: Record<string, unknown> };
    return String(config?.["budgie:postgresVersion"]);
  } catch {
    // What reads the settings says so.
    return undefined;
  }
}

/** Undefined when it cannot be told. */
async function settingOf(
  project: string,
  stack: string,
  name: "objectStore" | "database",
): Promise<string | undefined> {
  try {
    const [own, defaults] = await Promise.all([
      readFile(join(project, `Pulumi.${stack}.yaml`), "utf8").catch(unlessThere),
      readFile(join(project, "Pulumi.yaml"), "utf8"),
    ]);
    const set = (parse(own) as { config?: Record<string, unknown> } | null)?.config?.[`budgie:${name}`];
    const { config } = parse(defaults) as { config: Record<typeof name, { default: string }> };
    const value = set ?? config[name].default;
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function unlessThere(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "";
  throw error;
}

async function stateHoldsAws(project: string): Promise<boolean> {
  const folder = join(project, STATE_FOLDER, ".pulumi", "stacks");
  const files = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    files
      .filter(({ name }) => /\.json(\.gz|\.zst)?$/.test(name))
      .map(({ parentPath, name }) => mentionsAws(join(parentPath, name))),
  );
  return found.includes(true);
}

async function mentionsAws(file: string): Promise<boolean> {
  try {
    const content = await readFile(file);
    const text = file.endsWith(".gz") ? gunzipSync(content) : content;
    return file.endsWith(".zst") || text.includes('"pulumi:providers:aws"');
  } catch {
    return true;
  }
}
