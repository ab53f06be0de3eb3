import type { Lifecycle } from "../../settings/offsite.ts";
import { isDeclared, type StoreProfile } from "../../settings/store-profile.ts";
import type { Expiry, LifecycleRule } from "../../shared/bucket-lifecycle.ts";

/** An upload that takes longer than this was given up. */
const ABANDONED_UPLOAD_DAYS = 2;

/** What can be asked of a store of this kind, out of what the settings say. */
export function expiryIn(profile: StoreProfile, { keepDays, noncurrentDays, transition }: Lifecycle): Expiry {
  return {
    keepDays,
    ...(typeof profile.features.versioning === "string" ? { noncurrentDays } : {}),
    ...(transition ? { transition } : {}),
    ...(isDeclared(profile, "abandonedUploadRule") ? { abandonedUploadDays: ABANDONED_UPLOAD_DAYS } : {}),
    deleteMarkers: isDeclared(profile, "deleteMarkerRule"),
  };
}

/** As the AWS provider wants it written. */
export function asProviderRule(rule: LifecycleRule) {
  const { id, prefix, expires, noncurrentDays, transition, abandonedUploadDays } = rule;
  return {
    id,
    status: "Enabled",
    filter: { prefix },
    expiration: expires === "delete markers" ? { expiredObjectDeleteMarker: true } : expires,
    ...(noncurrentDays ? { noncurrentVersionExpiration: { noncurrentDays } } : {}),
    ...(transition ? { transitions: [transition] } : {}),
    ...(abandonedUploadDays
      ? { abortIncompleteMultipartUpload: { daysAfterInitiation: abandonedUploadDays } }
      : {}),
  };
}
