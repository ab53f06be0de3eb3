// Prints the key that the stack signs its backups' manifests with. `pulumi destroy` removes it from the state, but the
// backups stay. So it is also kept beside the state's folder of stacks, where the same copy holds both.
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { STATE_FOLDER } from "../shared/project-folder.ts";

/** 32 random bytes in base64. */
const KEY_LENGTH = 43;

/**
 * The file that keeps it; undefined where the state is in no folder, as with Pulumi Cloud: then the state alone has it. A program that uses
 * the project as a package has no folder here, and where its state is need not be said to this process: the key is kept in the home folder.
 */
export function keyFile({
  PULUMI_BACKEND_URL: url,
  BUDGIE_STACK: stack,
  BUDGIE_KEYS_AT_HOME: atHome,
  XDG_STATE_HOME: states,
}: NodeJS.ProcessEnv) {
  if (!stack) throw new Error("Which stack's key it is was not said.");
  if (atHome === "true")
    return join(states || join(homedir(), ".local/state"), "budgie", "manifest-keys", stack);
  if (url && !url.startsWith("file://")) return undefined;
  const folder = url ? url.slice("file://".length) : STATE_FOLDER;
  return join(folder.replace(/^~(?=\/|$)/, process.env.HOME ?? "~"), "manifest-keys", stack);
}

/** The key in the file, made if there is none yet; a kill leaves a whole one, or none. Pulumi runs one update of a stack at a time. */
export async function keptKey(file: string): Promise<string> {
  const known = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw new Error(`The key of the backups' manifests cannot be read: ${error.message}.`);
  });
  if (known === null) {
    await make(file);
    return keptKey(file);
  }
  const key = known.trim();
  if (key.length >= KEY_LENGTH) return key;
  throw new Error(
    `${file} does not hold the key of the backups' manifests: it is empty or was cut off. Put it back from your copy of the state, ` +
      "or remove the file: then a new key is made, and the backups that are there count as somebody else's.",
  );
}

function newKey(): string {
  return randomBytes(32).toString("base64url");
}

async function make(file: string): Promise<void> {
  await mkdir(join(file, ".."), { recursive: true, mode: 0o700 });
  const partial = `${file}.new`;
  const handle = await open(partial, "w", 0o600);
  try {
    await handle.writeFile(`${newKey()}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

async function main(): Promise<void> {
  const file = keyFile(process.env);
  process.stdout.write(`${file === undefined ? newKey() : await keptKey(file)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
