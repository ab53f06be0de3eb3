import { chown, type FileHandle, mkdir, open, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { BackupFormat } from "./backup-format.ts";
import { codeOf, isDiskFull, publishNew, syncDirectory, unlessWithoutOwners } from "./file-systems.ts";
import { RESERVED_BYTES } from "./reserved-bytes.ts";

/** What a directory does not do that backups need. */
export interface DirectoryLack {
  /** The end of a sentence that begins with the directory. */
  what: string;
  /** Why, as the system said it; empty where it said nothing. */
  code: string;
  /** What helps beside another directory, if anything does. */
  helps: string | undefined;
  /** Whether only space is missing. */
  full: boolean;
}

interface Step {
  work(): Promise<unknown>;
  what: string;
  helps?: string;
}

/** Whoever pg_dump runs as is neither root nor the directory's owner. */
const ANOTHER_USER = 5433;
const CONTENT = "budgie";

/**
 * Does in a directory what a backup does there: makes a file, has it on disk, gives it away, gives it its final name without
 * overwriting another, replaces it, and looks at the space that is left. Returns the first thing that fails; null when all is well.
 * Leaves nothing. (The locks of operations lie in the database and in the agent's container, and no directory must hold one.)
 */
export async function probeDirectory(directory: string, format: BackupFormat): Promise<DirectoryLack | null> {
  const [fresh, named, folder] = ["new", "named", "folder"].map(name =>
    join(directory, `.probe-${name}`),
  ) as [string, string, string];
  const clear = () =>
    Promise.all([fresh, named, folder].map(path => rm(path, { recursive: true, force: true })));
  const write = {
    work: () => writeDurably(fresh, directory),
    what: "takes no file that is durable (open, fsync)",
  };
  const steps: Step[] = [
    { work: clear, what: "holds a file of an earlier look that cannot be removed" },
    { work: () => readWhileWritten(fresh), what: "does not let a file be read while it is written (read)" },
    write,
    { work: () => publishNew(fresh, named), what: "gives files no final name (link, rename)" },
    write,
    { work: () => refusesTaken(fresh, named), what: "lets one file take another's name" },
    { work: () => rename(fresh, named), what: "does not replace a file (rename)" },
    { work: () => syncDirectory(directory), what: "does not make a file's name durable (fsync)" },
  ];
  if (format === "dir.tar")
    steps.push({
      work: () => giveFolder(folder),
      what: "knows no owners of files (chown), which the format dir.tar needs",
      helps: "npm run pulumi -- config set budgie:backupFormat sql.gz",
    });
  try {
    for (const { work, what, helps } of steps) {
      const failure = await work().then(
        () => null,
        (error: NodeJS.ErrnoException) => error,
      );
      if (failure) return lackOf(failure, what, helps);
    }
    return await spaceLack(directory);
  } finally {
    await clear().catch(() => undefined);
  }
}

/** A sentence, and what to type next, one line each. */
export function describeLack(
  shown: string,
  { what, code, helps }: DirectoryLack,
): { says: string; next: string[] } {
  return {
    says: `The backup directory ${shown} ${what}${code ? ` (${code})` : ""}.`,
    next: [...(helps ? [helps] : []), "npm run pulumi -- config set budgie:backupDir ANOTHER_FOLDER"],
  };
}

function lackOf(error: NodeJS.ErrnoException, what: string, helps = helpOf(error)): DirectoryLack {
  const code = codeOf(error);
  return { what, code: code || error.message, helps, full: isDiskFull(error) };
}

function helpOf(error: NodeJS.ErrnoException): string | undefined {
  if (error.code === "EROFS") return "Mount it for writing.";
  return isDiskFull(error) ? "Free some space there." : undefined;
}

async function writeDurably(path: string, directory: string): Promise<void> {
  const file = await open(path, "wx+", 0o600);
  try {
    const { uid, gid } = await stat(directory);
    await giveAway(file, uid, gid);
    await file.writeFile(CONTENT);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A plain dump is read while pg_dump writes it, from its first byte on. */
async function readWhileWritten(path: string): Promise<void> {
  const file = await open(path, "wx+", 0o600);
  try {
    const read = async () => {
      const memory = Buffer.alloc(2 * CONTENT.length);
      return memory.toString("utf8", 0, (await file.read(memory, 0, memory.length, 0)).bytesRead);
    };
    if ((await read()) !== "") throw new Error("an empty file holds something");
    await file.write(CONTENT);
    if ((await read()) !== CONTENT) throw new Error("what was written is not there");
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

/** A backup is none the worse where a file system has no owners. */
function giveAway(file: FileHandle, uid: number, gid: number): Promise<void> {
  return file.chown(uid, gid).catch(unlessWithoutOwners);
}

async function refusesTaken(from: string, to: string): Promise<void> {
  const refused = await publishNew(from, to).then(
    () => false,
    error => codeOf(error) === "EEXIST",
  );
  if (!refused || (await readFile(to, "utf8")) !== CONTENT) throw new Error("it was overwritten");
}

async function giveFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  await chown(path, ANOTHER_USER, ANOTHER_USER);
  if ((await stat(path)).uid !== ANOTHER_USER) throw new Error("chown changes nothing");
}

async function spaceLack(directory: string): Promise<DirectoryLack | null> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= RESERVED_BYTES) return null;
  const megabytes = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MB`;
  return {
    what: `has no space for backups: ${megabytes(free)} are free, and ${megabytes(RESERVED_BYTES)} stay free for the database`,
    code: "",
    helps: "Free some space there.",
    full: true,
  };
}
