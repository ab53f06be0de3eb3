import { type Finished, type RunAs, startWriter } from "./child-process.ts";
import { type ReadDump, readDump } from "./dump-file.ts";
import type { Progress } from "./reporter.ts";

/** How a load ended: it went well if psql said 0 and what was fed is no error. */
export interface Loading {
  /** What was read of the dump, or why reading it broke off. */
  fed: ReadDump | Error;
  end: Finished;
}

/**
 * Feeds a dump to psql, which stops at the first error. Throws only when `signal` aborts. The server is the stack's own
 * unless `runAs`'s environment names another.
 */
export async function loadDump(
  database: string,
  path: string,
  shown: string,
  progress: Progress,
  signal: AbortSignal,
  runAs?: RunAs,
): Promise<Loading> {
  const { input, finished } = startWriter(
    "psql",
    ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", `--dbname=${database}`],
    signal,
    runAs,
  );
  const fed = await readDump(path, shown, input, progress, signal).catch((error: Error) => error);
  const end = await finished;
  if (signal.aborted) throw signal.reason;
  return { fed, end };
}
