/** A moment as it is shown: `2026-11-22 13:03:00.123 UTC`. @param at milliseconds since 1970 */
export function shownMoment(at: number): string {
  return `${new Date(at).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}
