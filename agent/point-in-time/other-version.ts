import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { shownMoment } from "../base/shown-moment.ts";
import { majorVersion } from "../server/connection.ts";
import { ownMajorVersion } from "../server/own-version.ts";
import { joinRanges, type Recoverable } from "./recoverable.ts";

/** Throws a Stop for a base backup of another major version than the agent's own: its server would only say that it cannot open it. */
export async function requireOwnVersion(recoverable: Recoverable): Promise<void> {
  refuseOtherVersion(recoverable, await ownMajorVersion());
}

/** @param own null: the server itself is left to refuse it */
export function refuseOtherVersion({ base }: Pick<Recoverable, "base">, own: string | null): void {
  const written = majorVersion(base.serverVersion);
  if (own === null || written === own) return;
  throw new Stop(
    EXIT.unusableBackup,
    `The base backup ${base.name} and its WAL were written by PostgreSQL ${written}, and this stack runs ${own}. No version opens another one's files.`,
    `To go back to that moment, first go back to PostgreSQL ${written}: npx budgie upgrade --undo. Or restore a backup of that time, which loads into this version: npx budgie list shows them`,
  );
}

/** Those that the agent's own version can recover, and a note on the rest. */
export function ofOwnVersion(
  all: readonly Recoverable[],
  own: string | null,
): { own: Recoverable[]; notes: string[] } {
  const isOwn = ({ base }: Recoverable) => own === null || majorVersion(base.serverVersion) === own;
  const others = all.filter(one => !isOwn(one));
  const versions = [...new Set(others.map(({ base }) => majorVersion(base.serverVersion)))];
  const notes = versions.map(version => {
    const ranges = joinRanges(others.filter(({ base }) => majorVersion(base.serverVersion) === version));
    const [from, until] = [ranges[0]?.from ?? 0, ranges.at(-1)?.until ?? 0];
    return `Moments from ${shownMoment(from)} to ${shownMoment(until)} were recorded by PostgreSQL ${version}, which alone can go back to them: npx budgie upgrade --undo`;
  });
  return { own: all.filter(isOwn), notes };
}
