/** A moment as it is shown: `2026-11-22 13:03:00.123 UTC`. @param at milliseconds since 1970 */
export function shownMoment(at: number): string {
  return `${new Date(at).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** `2026-11-22 13:03 UTC` */
export function shownMinute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** `2026-11-22 13:03:07 UTC` */
export function shownSecond(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
