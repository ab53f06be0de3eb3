import { NAMESPACE, type Problem, removeCommand, setCommand } from "./definition.ts";
import { type OffsiteValues, offsiteDefinitions } from "./offsite.ts";
import { PROFILES, profileByName } from "./store-profile.ts";

type Name = keyof OffsiteValues;
type Kind = OffsiteValues["objectStore"];

const OPERATOR = ["s3AccessKeyId", "s3SecretAccessKey"] as const;
const WRITER = ["s3WriterAccessKeyId", "s3WriterSecretAccessKey"] as const;
const SSH = ["offsiteSsh", "offsiteSshKey", "offsiteSshHostKey"] as const;

const NEEDS: Record<Kind, readonly Name[]> = {
  aws: ["bucket"],
  s3: ["bucket", "s3Endpoint", ...OPERATOR],
  local: [],
  none: [],
};

/** What would be taken for granted and does nothing. */
const DOES_NOTHING: Record<Kind, readonly Name[]> = {
  aws: ["objectStoreProfile", ...OPERATOR, ...WRITER],
  s3: [],
  local: ["s3Endpoint", "objectStoreProfile", ...OPERATOR, ...WRITER, "offsiteTransitionClass"],
  none: [
    "bucket",
    "s3Endpoint",
    "objectStoreProfile",
    ...OPERATOR,
    ...WRITER,
    "offsiteTransitionClass",
    "objectLockDays",
  ],
};

/** Amazon takes no object into these before it is thirty days old. */
const AFTER_THIRTY_DAYS: readonly unknown[] = ["STANDARD_IA", "ONEZONE_IA"];

/** Off-site settings that are fine alone and wrong together. Those that are wrong alone are absent. */
export function offsiteContradictions(values: Partial<OffsiteValues>): Problem[] {
  return [
    ...ofTheStore(values),
    ...together(values, WRITER),
    ...together(values, SSH),
    ...ofTheRecipients(values),
    ...ofTheTransition(values),
    ...ofTheLock(values),
    ...ofTheProfile(values),
  ];
}

function ofTheStore(values: Partial<OffsiteValues>): Problem[] {
  const kind = values.objectStore;
  if (kind === undefined) return [];
  const missing = NEEDS[kind].filter(name => name in values && values[name] === undefined);
  const idle = DOES_NOTHING[kind].filter(name => values[name] !== undefined);
  return [
    ...missing.map(name => ({
      what: `${NAMESPACE}:objectStore is ${kind}, which needs ${NAMESPACE}:${name}, and that is not set.`,
      type: setCommand(name, offsiteDefinitions[name]),
    })),
    ...idle.map(name => ({
      what: `${NAMESPACE}:${name} is set, and does nothing while ${NAMESPACE}:objectStore is ${kind}.`,
      type: removeCommand(name),
    })),
  ];
}

/** All of them or none. */
function together(values: Partial<OffsiteValues>, names: readonly Name[]): Problem[] {
  const present = names.find(name => values[name] !== undefined);
  if (!present) return [];
  return names
    .filter(name => name in values && values[name] === undefined)
    .map(name => ({
      what: `${NAMESPACE}:${present} is set, but ${NAMESPACE}:${name}, which it belongs to, is not.`,
      type: setCommand(name, offsiteDefinitions[name]),
    }));
}

/** Only what leaves is encrypted: drills restore what is here without the private key. */
function ofTheRecipients(values: Partial<OffsiteValues>): Problem[] {
  const { backupRecipients, objectStore, offsiteSsh } = values;
  if (backupRecipients === undefined || objectStore !== "none" || offsiteSsh !== undefined) return [];
  return [
    {
      what: `${NAMESPACE}:backupRecipients is set, and does nothing while ${NAMESPACE}:objectStore is none and ${NAMESPACE}:offsiteSsh is not set.`,
      type: removeCommand("backupRecipients"),
    },
  ];
}

function ofTheTransition(values: Partial<OffsiteValues>): Problem[] {
  const { offsiteTransitionClass: storageClass, offsiteTransitionDays: days, offsiteKeepDays: keep } = values;
  if (storageClass === undefined || days === undefined) {
    return together(values, ["offsiteTransitionClass", "offsiteTransitionDays"]);
  }
  const problems: string[] = [];
  if (AFTER_THIRTY_DAYS.includes(storageClass) && days < 30) {
    problems.push(
      `${NAMESPACE}:offsiteTransitionDays is ${days}, but an object must be 30 days old to become ${storageClass}.`,
    );
  }
  if (keep !== undefined && days >= keep) {
    problems.push(
      `${NAMESPACE}:offsiteTransitionDays is ${days}, but a backup expires after ${keep} days (${NAMESPACE}:offsiteKeepDays).`,
    );
  }
  return problems.map(what => ({
    what,
    type: setCommand("offsiteTransitionDays", offsiteDefinitions.offsiteTransitionDays),
  }));
}

function ofTheLock(values: Partial<OffsiteValues>): Problem[] {
  const { objectLockDays: lock, offsiteKeepDays: keep, offsiteNoncurrentDays: noncurrent } = values;
  if (lock === undefined || keep === undefined || noncurrent === undefined) return [];
  if (lock <= keep + noncurrent) return [];
  return [
    {
      what:
        `${NAMESPACE}:objectLockDays is ${lock}, but a backup is to be gone after ${keep + noncurrent} days ` +
        `(${NAMESPACE}:offsiteKeepDays and ${NAMESPACE}:offsiteNoncurrentDays): the lock would keep it longer.`,
      type: setCommand("objectLockDays", offsiteDefinitions.objectLockDays),
    },
  ];
}

/** What was asked for and cannot be had is refused; what nobody asked for is only said to be lacking. */
function ofTheProfile(values: Partial<OffsiteValues>): Problem[] {
  const { objectStore, s3Endpoint: endpoint, objectStoreProfile } = values;
  if (objectStore !== "s3" || endpoint === undefined) return [];
  const { title, features, transitions } = PROFILES[objectStoreProfile ?? profileByName(endpoint)];
  const { objectLockDays: lock, offsiteTransitionClass: storageClass } = values;
  const problems: Problem[] = [];
  if (lock !== undefined && typeof features.objectLock === "object") {
    problems.push({
      what: `${NAMESPACE}:objectLockDays is ${lock}, but ${title} has no object lock.`,
      type: removeCommand("objectLockDays"),
    });
  }
  if (storageClass !== undefined && !transitions.includes(storageClass)) {
    problems.push({
      what: `${NAMESPACE}:offsiteTransitionClass is ${storageClass}, which ${title} does not have.`,
      type: removeCommand("offsiteTransitionClass"),
    });
  }
  return problems;
}
