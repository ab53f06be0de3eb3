import type { Lifecycle } from "./offsite-settings.ts";
import type { StoreProfile } from "./store-profile.ts";

/** An upload that takes longer than this was given up. */
const ABANDONED_UPLOAD_DAYS = 2;

/**
 * What becomes of the stack's backups in a bucket, as far as the store can do it. DANGER: this is what deletes them.
 * Markers that hide nothing any more need a rule of their own: a rule's expiry has either days or them.
 *
 * @param prefix what the stack's keys begin with, `dev/`
 */
export function lifecycleRules(prefix: string, lifecycle: Lifecycle, { features }: StoreProfile) {
  const { keepDays, noncurrentDays, transition } = lifecycle;
  const common = { status: "Enabled", filter: { prefix } };
  const backups = {
    id: "backups",
    ...common,
    expiration: { days: keepDays },
    ...(typeof features.versioning === "string" ? { noncurrentVersionExpiration: { noncurrentDays } } : {}),
    ...(transition ? { transitions: [transition] } : {}),
    abortIncompleteMultipartUpload: { daysAfterInitiation: ABANDONED_UPLOAD_DAYS },
  };
  const markers = { id: "delete-markers", ...common, expiration: { expiredObjectDeleteMarker: true } };
  return features.deleteMarkerRule === "declared" ? [backups, markers] : [backups];
}
