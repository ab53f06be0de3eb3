import { humanSize } from "../base/reporter.ts";
import type { SetAside } from "../server/set-aside.ts";

const DAY_MS = 24 * 3_600_000;
const OLD_AFTER_DAYS = 30;

/** What a restore set aside stays until somebody deletes it. Meanwhile it takes room beside the database. */
export function noteSetAside(aside: readonly SetAside[], now: Date): string[] {
  const old = aside.filter(({ at }) => at !== null && now.getTime() - at.getTime() > OLD_AFTER_DAYS * DAY_MS);
  if (old.length === 0) return [];
  const size = humanSize(old.reduce((sum, { bytes }) => sum + bytes, 0));
  const since = `more than ${OLD_AFTER_DAYS} days ago`;
  const what =
    old.length === 1
      ? `A database that a restore set aside ${since} takes ${size}.`
      : `${old.length} databases that restores set aside ${since} take ${size}.`;
  return [
    `${what} If nobody wants the data of then any more: npx budgie drop-previous --older-than ${OLD_AFTER_DAYS}`,
  ];
}
