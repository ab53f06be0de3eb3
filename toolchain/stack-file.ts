import { readFile, writeFile } from "node:fs/promises";

/**
 * Runs something that calls Pulumi, and gives a committed stack file back as it was if all that Pulumi did to it was to
 * add its `encryptionsalt`. The salt belongs to this copy's passphrase and is in the state as well; in a commit it would
 * lock every other copy out. A file with encrypted settings needs its salt and keeps it.
 */
export async function withoutSalt<T>(file: string, run: () => Promise<T>): Promise<T> {
  const before = await read(file);
  try {
    return await run();
  } finally {
    const after = await read(file);
    if (before !== undefined && after !== undefined && onlySaltAdded(before, after))
      await writeFile(file, before);
  }
}

/** Whether `after` says the same as `before`, apart from a salt that was not there. Pulumi also rewrites blanks and comments. */
export function onlySaltAdded(before: string, after: string): boolean {
  const salt = /^encryptionsalt:.*$/m;
  return !salt.test(before) && salt.test(after) && meaning(after.replace(salt, "")) === meaning(before);
}

function meaning(yaml: string): string {
  const lines = yaml.split("\n").map(line => line.replace(/(^|\s)#.*$/, "").trimEnd());
  return lines.filter(line => line !== "" && line !== "{}").join("\n");
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}
