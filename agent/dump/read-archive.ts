import type { Writable } from "node:stream";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, type Finished, type RunAs, startFilter } from "../base/child-process.ts";
import { TRY_AGAIN } from "../base/next-steps.ts";
import { refuse } from "../base/refuse.ts";
import { tolerantInput } from "../base/tolerant-input.ts";
import { withoutServer } from "../server/client-programs.ts";
import { NOBODY } from "../server/nobody.ts";
import type { ArchiveKind } from "./kind.ts";
import type { ReadOptions, TakePart } from "./parts.ts";
import { giveAway, unpackDirectory, withScratch } from "./unpacked-directory.ts";

/** An archive's bytes, which `feed` sends through the stages that it is given. */
export interface ArchiveBytes {
  feed: (...stages: Writable[]) => Promise<void>;
  kind: ArchiveKind;
  shown: string;
}

type Rendering = Pick<ReadOptions, "withoutOwners" | "signal">;

/**
 * Gives out the SQL that pg_restore makes of a dump which only pg_restore understands. It is byte for byte a plain dump of the same
 * database, so all kinds are loaded and compared alike. Asks no server. Throws a Stop for a dump that pg_restore does not read to
 * its end; what `feed` fails with is passed on.
 */
export function readArchive(
  { feed, kind, shown }: ArchiveBytes,
  take: TakePart,
  options: Rendering,
): Promise<void> {
  if (kind === "custom") {
    const send = (input: Writable) => feed(tolerantInput(input));
    return render(["--format=custom"], shown, withoutServer(), send, take, options);
  }
  return withScratch(async directory => {
    await unpackDirectory(sink => feed(sink), directory, shown);
    await giveAway(directory, NOBODY);
    await readDirectory(directory, shown, take, options);
  });
}

/** The same for a directory that pg_dump wrote. `NOBODY` must be allowed to read it. */
export function readDirectory(
  directory: string,
  shown: string,
  take: TakePart,
  options: Rendering = {},
): Promise<void> {
  const rights = { ...withoutServer(), cwd: directory };
  return render(["--format=directory", "."], shown, rights, async input => void input.end(), take, options);
}

async function render(
  args: readonly string[],
  shown: string,
  rights: RunAs,
  send: (input: Writable) => Promise<void>,
  take: TakePart,
  { withoutOwners = false, signal }: Rendering,
): Promise<void> {
  const leaveOut = withoutOwners ? ["--no-owner", "--no-privileges"] : [];
  const { process, input, output, finished } = startFilter(
    "pg_restore",
    ["--file=-", ...leaveOut, ...args],
    signal,
    rights,
  );
  const sending = send(input).then(
    () => null,
    (error: Error) => error,
  );
  try {
    for await (const part of output) await take(part);
  } catch (error) {
    process.kill("SIGKILL");
    await Promise.all([finished, sending]);
    throw error;
  }
  const end = await finished;
  const failure = await sending;
  signal?.throwIfAborted();
  if (failure) throw failure;
  requireRead(end, shown);
}

/** Its own faults, which only what it reads can lead it to. */
const FAULTS: ReadonlySet<string> = new Set(["SIGSEGV", "SIGBUS", "SIGABRT"]);

/** Only what pg_restore itself says is held against the file. */
function requireRead(end: Finished, shown: string): void {
  if (end.code === 0) return;
  if (end.code === null && !FAULTS.has(end.signal ?? ""))
    throw new Stop(
      EXIT.failed,
      `${shown} could not be read; pg_restore ended with ${describeEnd(end)}.`,
      TRY_AGAIN,
    );
  const newer = /unsupported version \(([\d.]+)\) in file header/.exec(end.errors);
  if (newer) {
    throw refuse(
      `${shown} was made by a newer pg_dump than this server's (archive version ${newer[1]})`,
      "Make SQL of it with the pg_restore of that version, and restore that: pg_restore --file=dump.sql FILE",
    );
  }
  throw refuse(`${shown} is cut off or corrupt; pg_restore ended with ${describeEnd(end)}`);
}
