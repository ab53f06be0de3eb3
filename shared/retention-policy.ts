/** How many good backups are kept for their age. Only days, weeks and months that have one are counted, in UTC. */
export interface RetentionPolicy {
  /** All of the newest so many days. At least 1. */
  days: number;
  /** The newest so many, however they are spread. At least 1. */
  atLeast: number;
  /** One of each of the newest so many weeks, Monday to Sunday. */
  weeks: number;
  /** One of each of the newest so many months. */
  months: number;
}
