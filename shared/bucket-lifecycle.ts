/** The classes of storage that a bucket can be told to move objects to, as Amazon calls them. */
export const STORAGE_CLASSES = [
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER_IR",
  "GLACIER",
  "DEEP_ARCHIVE",
] as const;
export type StorageClass = (typeof STORAGE_CLASSES)[number];

/** What becomes of backups in a bucket, as far as its store can do it. All in days. */
export interface Expiry {
  keepDays: number;
  /** From when a backup was hidden or overwritten; absent for a store without versions. */
  noncurrentDays?: number;
  transition?: { storageClass: StorageClass; days: number };
  /** After which an upload that never ended is removed; absent for a store that does not know this rule. */
  abandonedUploadDays?: number;
  /** Whether delete markers that hide nothing any more go as well. */
  deleteMarkers: boolean;
}

/** One rule of a bucket, in nobody's spelling: the AWS provider and the S3 client want it written differently. */
export interface LifecycleRule extends Pick<Expiry, "noncurrentDays" | "transition" | "abandonedUploadDays"> {
  id: string;
  /** What the keys begin with that it is about. */
  prefix: string;
  expires: { days: number } | "delete markers";
}

/**
 * DANGER: this is what deletes backups. Delete markers need a rule of their own: a rule's expiry has either days or them.
 *
 * @param prefix what the stack's keys begin with, `dev/`
 */
export function lifecycleRules(
  prefix: string,
  { keepDays, deleteMarkers, ...others }: Expiry,
): LifecycleRule[] {
  const backups: LifecycleRule = { id: "backups", prefix, expires: { days: keepDays }, ...others };
  const markers: LifecycleRule = { id: "delete-markers", prefix, expires: "delete markers" };
  return deleteMarkers ? [backups, markers] : [backups];
}
