import { readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse, parseDocument } from "yaml";

/**
 * Runs something that calls Pulumi, and takes the `encryptionsalt` out of a stack file that does not need it, whoever put it
 * there. The salt belongs to this copy's passphrase and is in the state as well; in a commit it would lock every other copy
 * out. A file with encrypted settings needs its salt and keeps it. A file to which Pulumi only added the salt is given back
 * letter by letter: Pulumi also rewrites blanks, quotes and comments.
 */
export async function withoutSalt<T>(files: readonly string[], run: () => Promise<T>): Promise<T> {
  const before = await Promise.all(files.map(file => clean(file)));
  try {
    return await run();
  } finally {
    for (const [index, file] of files.entries()) await clean(file, before[index]);
  }
}

/** Gives what the file holds now. @param before what it held before Pulumi ran, if it did */
async function clean(file: string, before?: string): Promise<string | undefined> {
  const found = await read(file);
  if (found === undefined) return undefined;
  const wanted = unsalted(before, found);
  if (wanted !== found) await replace(file, wanted);
  return wanted;
}

/** The stack files in a folder that have no salt now: what is there is their owner's. */
export async function filesWithoutSalt(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(name => /^Pulumi\..+\.yaml$/.test(name));
  const files = names.map(name => join(folder, name));
  const settings = await Promise.all(files.map(async file => settingsIn((await read(file)) ?? "")));
  return files.filter((_, index) => settings[index] && !("encryptionsalt" in settings[index]));
}

/** What the file should hold after a run that found `before` and left `after`. */
export function unsalted(before: string | undefined, after: string): string {
  const now = settingsIn(after);
  if (now === undefined || !("encryptionsalt" in now) || hasSecret(now)) return after;
  const { encryptionsalt: _, ...said } = now;
  const then = before === undefined ? undefined : settingsIn(before);
  if (before !== undefined && then && !("encryptionsalt" in then) && saysTheSame(said, then)) return before;
  const document = parseDocument(after);
  document.delete("encryptionsalt");
  return Object.keys(said).length === 0 ? "{}\n" : document.toString();
}

/** Undefined for what is no stack file; such a file is left alone. An empty one says nothing. */
function settingsIn(yaml: string): Record<string, unknown> | undefined {
  try {
    const settings: unknown = parse(yaml) ?? {};
    return typeof settings === "object" && !Array.isArray(settings)
      ? (settings as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** `secure: …` is how Pulumi writes what only the passphrase opens, however deep. */
function hasSecret(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return "secure" in value || Object.values(value).some(hasSecret);
}

/** Pulumi leaves out an empty `config`. */
function saysTheSame(one: Record<string, unknown>, other: Record<string, unknown>): boolean {
  return isDeepStrictEqual(withoutEmpty(one), withoutEmpty(other));
}

function withoutEmpty(settings: Record<string, unknown>): Record<string, unknown> {
  const empty = (value: unknown) => value === null || isDeepStrictEqual(value, {});
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => !empty(value)));
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}

/** In one step, with the mode that it has: these are the stack's settings. */
async function replace(file: string, text: string): Promise<void> {
  const fresh = `${file}.${process.pid}`;
  await writeFile(fresh, text, { mode: (await stat(file)).mode });
  await rename(fresh, file);
}
