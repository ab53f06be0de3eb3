import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { type Finished, type RunAs, startSilent, startWriter } from "./child-process.ts";
import { isArchiveKind, kindOfFile, type TextKind } from "./dump-kind.ts";
import { readText } from "./dump-text.ts";
import { hashFile } from "./hash-file.ts";
import { hashingStream } from "./hashing-stream.ts";
import { feedFile } from "./plain-dump.ts";
import type { Progress } from "./reporter.ts";
import { giveAway, unpackDirectory, withScratch } from "./unpacked-directory.ts";

/** How a load ended: it went well if the program said 0 and the sha256 is the one that is known. */
export interface Loading {
  program: "psql" | "pg_restore";
  /** The sha256 of the file's bytes while it was loaded, or why reading it broke off. */
  fed: string | Error;
  end: Finished;
}

/**
 * Nobody is told of a row in a candidate before the swap, whose own COMMIT writes all WAL before it to the disk; so none of
 * the load's commits, one a statement, needs to wait for the disk. The memory is for building indexes.
 */
const LOADING = "-c synchronous_commit=off -c maintenance_work_mem=128MB";

export interface LoadOptions {
  database: string;
  /** How many connections at once, where the dump's format allows more than one. */
  jobs: number;
  signal: AbortSignal;
  /** Names the server, and whose rights the program gets; the stack's own server when absent. */
  runAs?: RunAs;
}

/** Loads a dump of any kind, and stops at the first error. Throws when `signal` aborts, and for a file that is not there. */
export async function loadDump(
  path: string,
  shown: string,
  options: LoadOptions,
  progress: Progress,
): Promise<Loading> {
  const kind = await kindOfFile(path, shown);
  const loading = isArchiveKind(kind)
    ? await (kind === "custom" ? loadCustom(path, options) : loadDirectory(path, shown, options))
    : await feedPsql(path, shown, kind, options, progress);
  if (options.signal.aborted) throw options.signal.reason;
  return loading;
}

async function feedPsql(
  path: string,
  shown: string,
  kind: TextKind,
  { database, signal, runAs }: LoadOptions,
  progress: Progress,
): Promise<Loading> {
  const { input, finished } = startWriter(
    "psql",
    ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", target(database)],
    signal,
    runAs,
  );
  const feed = async () => {
    if (kind === "plain") return feedFile(path, input, progress);
    const source = createReadStream(path, { highWaterMark: 1 << 20 });
    return (await readText({ source, kind, shown }, input, progress, signal)).sha256;
  };
  const fed = await feed().catch((error: Error) => error);
  return { program: "psql", fed, end: await finished };
}

/** Other rights than the agent's may not open the file, and get it opened: then there is one connection, as pg_restore has it. */
async function loadCustom(path: string, options: LoadOptions): Promise<Loading> {
  const { jobs, signal, runAs } = options;
  const args = ["--format=custom", ...pgRestoreArguments(options)];
  if (!runAs) {
    const end = await startSilent("pg_restore", [...args, `--jobs=${jobs}`, path], "ignore", signal);
    return { program: "pg_restore", fed: await hashOf(path), end };
  }
  const file = await open(path, "r");
  try {
    const end = await startSilent("pg_restore", args, file.fd, signal, runAs);
    return { program: "pg_restore", fed: await hashOf(path), end };
  } finally {
    await file.close();
  }
}

async function loadDirectory(path: string, shown: string, options: LoadOptions): Promise<Loading> {
  const { jobs, signal, runAs } = options;
  return withScratch(async directory => {
    const hash = hashingStream();
    const source = createReadStream(path, { highWaterMark: 1 << 20 });
    await unpackDirectory(sink => pipeline([source, hash.stream, sink], { signal }), directory, shown);
    if (runAs) await giveAway(directory, runAs);
    const args = ["--format=directory", ...pgRestoreArguments(options), `--jobs=${jobs}`, directory];
    const end = await startSilent("pg_restore", args, "ignore", signal, runAs);
    return { program: "pg_restore", fed: hash.sha256(), end };
  });
}

function pgRestoreArguments({ database }: LoadOptions): string[] {
  return ["--exit-on-error", "--no-password", target(database)];
}

function target(database: string): string {
  return `--dbname=dbname=${database} options='${LOADING}'`;
}

/** After it was loaded: what changed meanwhile is noticed as well. */
function hashOf(path: string): Promise<string | Error> {
  return hashFile(path).then(
    ({ sha256 }) => sha256,
    (error: Error) => error,
  );
}
