import type { Properties } from "../../provider.ts";

/** What a removal says of the snapshot that Amazon takes before it. */
export function lastSnapshot({ skipFinalSnapshot: skipped, finalSnapshotIdentifier: name }: Properties) {
  if (skipped === true) return { SkipFinalSnapshot: true };
  return { SkipFinalSnapshot: false, FinalDBSnapshotIdentifier: name as string };
}
