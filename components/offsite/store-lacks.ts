import type { Lifecycle, ObjectStoreSettings } from "../../settings/offsite.ts";
import { PROFILES, profileOf, type StoreProfile } from "../../settings/store-profile.ts";
import { isPrivateHost } from "./private-host.ts";

/** Backups in these are asked for hours before they can be read. */
const SLOW_CLASSES: readonly string[] = ["GLACIER", "DEEP_ARCHIVE"];

const LOCAL = [
  "The object store is on the same machine as the database, and is lost with it: set budgie:objectStore or budgie:offsiteSsh to have copies elsewhere.",
  "Who may use this machine's container engine can delete the copies in it.",
  "The object store encrypts nothing, neither what it keeps nor what is sent to it inside the stack's network.",
];

/**
 * What an operator must know of the store that was chosen: one sentence each, for the preview and `npx budgie status`.
 *
 * @param ssh whether backups are sent to another machine over ssh as well
 */
export function storeLacks(store: ObjectStoreSettings, ssh: boolean): string[] {
  switch (store.kind) {
    case "none":
      return ssh ? [] : ["No backup is sent anywhere else: what destroys this machine destroys them all."];
    case "local":
      return [
        ...(ssh ? LOCAL.slice(1) : LOCAL),
        ...missing(PROFILES.minio, ["publicAccessBlock", "encryption"]),
      ];
    case "aws":
      return [...readableOnTheWay(store.endpoint), ...slow(store.lifecycle)];
    case "s3":
      return [
        ...missing(profileOf(store)),
        ...(store.writer ? [] : [WITHOUT_WRITER]),
        ...readableOnTheWay(store.endpoint),
        ...slow(store.lifecycle),
      ];
  }
}

const WITHOUT_WRITER =
  "The backup agent has the operator's own key, because budgie:s3WriterAccessKeyId is not set: who takes over its container can delete backups there.";

/** Object lock is not among them: where it cannot be had, asking for it is refused. */
function missing({ features }: StoreProfile, besides: readonly string[] = []): string[] {
  return Object.entries(features).flatMap(([feature, support]) =>
    typeof support === "object" && feature !== "objectLock" && !besides.includes(feature)
      ? [support.lacks]
      : [],
  );
}

/** Signatures keep others from changing what is sent over plain http; they do not keep them from reading it. */
function readableOnTheWay(endpoint: string | undefined): string[] {
  if (!endpoint?.startsWith("http://") || isPrivateHost(new URL(endpoint).hostname)) return [];
  return [
    `The object store's address ${endpoint} is not encrypted: everyone on the way can read the backups.`,
  ];
}

function slow({ transition }: Lifecycle): string[] {
  if (!transition || !SLOW_CLASSES.includes(transition.storageClass)) return [];
  return [
    `Backups older than ${transition.days} days are in ${transition.storageClass}: one must be asked for hours before it can be restored.`,
  ];
}
