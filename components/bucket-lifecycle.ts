import type { Expiry } from "../agent/bucket-lifecycle.ts";
import type { Lifecycle } from "./offsite-settings.ts";
import { isDeclared, type StoreProfile } from "./store-profile.ts";

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

/** As the AWS provider wants it written. DANGER: this is what deletes backups. */
export function awsRules(prefix: string, expiry: Expiry) {
  const { keepDays, noncurrentDays, transition, abandonedUploadDays, deleteMarkers } = expiry;
  const common = { status: "Enabled", filter: { prefix } };
  const backups = {
    id: "backups",
    ...common,
    expiration: { days: keepDays },
    ...(noncurrentDays ? { noncurrentVersionExpiration: { noncurrentDays } } : {}),
    ...(transition ? { transitions: [transition] } : {}),
    ...(abandonedUploadDays
      ? { abortIncompleteMultipartUpload: { daysAfterInitiation: abandonedUploadDays } }
      : {}),
  };
  const markers = { id: "delete-markers", ...common, expiration: { expiredObjectDeleteMarker: true } };
  return deleteMarkers ? [backups, markers] : [backups];
}
