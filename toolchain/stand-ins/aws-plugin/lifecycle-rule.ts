import type {
  ExpirationStatus,
  LifecycleRule,
  LifecycleRuleFilter,
  TransitionStorageClass,
} from "@aws-sdk/client-s3";
import type { Field, Fields } from "./fields.ts";

const storageClass: Field = {
  is: "text",
  required: true,
  oneOf: ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"],
};
const sizes: Fields = {
  objectSizeGreaterThan: { is: "number" },
  objectSizeLessThan: { is: "number", least: 1 },
};
/** None and the empty one match the same keys. */
const prefix: Field = { is: "text", default: "" };

export const ruleFields: Fields = {
  id: { is: "text", required: true },
  status: { is: "text", required: true, oneOf: ["Enabled", "Disabled"] },
  prefix,
  filter: {
    is: "object",
    fields: {
      ...sizes,
      prefix,
      tag: {
        is: "object",
        fields: { key: { is: "text", required: true }, value: { is: "text", required: true } },
      },
      and: { is: "object", fields: { ...sizes, prefix, tags: { is: "tags" } } },
    },
  },
  expiration: {
    is: "object",
    fields: {
      date: { is: "date" },
      days: { is: "number", default: 0 },
      expiredObjectDeleteMarker: { is: "flag", default: false },
    },
  },
  abortIncompleteMultipartUpload: { is: "object", fields: { daysAfterInitiation: { is: "number" } } },
  noncurrentVersionExpiration: {
    is: "object",
    fields: {
      noncurrentDays: { is: "number", required: true, least: 1 },
      newerNoncurrentVersions: { is: "number", least: 1 },
    },
  },
  noncurrentVersionTransitions: {
    is: "list",
    fields: {
      noncurrentDays: { is: "number", required: true },
      newerNoncurrentVersions: { is: "number", least: 1 },
      storageClass,
    },
  },
  transitions: {
    is: "list",
    fields: { date: { is: "date" }, days: { is: "number", default: 0 }, storageClass },
  },
};

/** A rule as a program declares it, and as `ruleFields` has checked it. */
export interface Rule {
  id: string;
  status: ExpirationStatus;
  prefix?: string;
  filter?: Filter;
  expiration?: { date?: string; days?: number; expiredObjectDeleteMarker?: boolean };
  abortIncompleteMultipartUpload?: { daysAfterInitiation?: number };
  noncurrentVersionExpiration?: { noncurrentDays: number; newerNoncurrentVersions?: number };
  noncurrentVersionTransitions?: {
    noncurrentDays: number;
    newerNoncurrentVersions?: number;
    storageClass: TransitionStorageClass;
  }[];
  transitions?: { date?: string; days?: number; storageClass: TransitionStorageClass }[];
}

interface Matching {
  prefix?: string;
  objectSizeGreaterThan?: number;
  objectSizeLessThan?: number;
}
interface Filter extends Matching {
  tag?: { key: string; value: string };
  and?: Matching & { tags?: Record<string, string> };
}

export function toServer(rule: Rule): LifecycleRule {
  const { expiration, abortIncompleteMultipartUpload: abort, noncurrentVersionExpiration: noncurrent } = rule;
  return {
    ID: rule.id,
    Status: rule.status,
    ...(rule.prefix ? { Prefix: rule.prefix } : { Filter: toFilter(rule.filter) }),
    ...(expiration && {
      Expiration: {
        ...(expiration.date && { Date: new Date(expiration.date) }),
        ...(expiration.days && { Days: expiration.days }),
        // The server refuses it beside a time.
        ...(!expiration.date && !expiration.days
          ? { ExpiredObjectDeleteMarker: expiration.expiredObjectDeleteMarker ?? false }
          : {}),
      },
    }),
    ...(abort && { AbortIncompleteMultipartUpload: { DaysAfterInitiation: abort.daysAfterInitiation } }),
    ...(noncurrent && {
      NoncurrentVersionExpiration: {
        NoncurrentDays: noncurrent.noncurrentDays,
        NewerNoncurrentVersions: noncurrent.newerNoncurrentVersions,
      },
    }),
    ...(rule.noncurrentVersionTransitions && {
      NoncurrentVersionTransitions: rule.noncurrentVersionTransitions.map(transition => ({
        NoncurrentDays: transition.noncurrentDays,
        NewerNoncurrentVersions: transition.newerNoncurrentVersions,
        StorageClass: transition.storageClass,
      })),
    }),
    ...(rule.transitions && {
      Transitions: rule.transitions.map(({ date, days, storageClass }) => ({
        ...(date ? { Date: new Date(date) } : { Days: days ?? 0 }),
        StorageClass: storageClass,
      })),
    }),
  };
}

function toFilter(filter: Filter | undefined): LifecycleRuleFilter {
  if (!filter) return {};
  const { tag, and } = filter;
  const found: LifecycleRuleFilter = {
    ...toMatching(filter),
    ...(tag && { Tag: { Key: tag.key, Value: tag.value } }),
    ...(and && {
      And: {
        ...toMatching(and),
        ...(and.tags && { Tags: Object.entries(and.tags).map(([Key, Value]) => ({ Key, Value })) }),
      },
    }),
  };
  return Object.keys(found).length > 0 ? found : { Prefix: "" };
}

function toMatching({ prefix, objectSizeGreaterThan: above, objectSizeLessThan: below }: Matching) {
  return {
    ...(prefix !== undefined && { Prefix: prefix }),
    ...(above !== undefined && { ObjectSizeGreaterThan: above }),
    ...(below !== undefined && { ObjectSizeLessThan: below }),
  };
}

/** Undefined where the server says nothing; `fields.ts` leaves that out. */
export function fromServer(rule: LifecycleRule) {
  return {
    id: rule.ID,
    status: rule.Status,
    prefix: rule.Prefix,
    filter: rule.Filter && {
      ...fromMatching(rule.Filter),
      tag: rule.Filter.Tag && { key: rule.Filter.Tag.Key, value: rule.Filter.Tag.Value },
      and: rule.Filter.And && {
        ...fromMatching(rule.Filter.And),
        tags: Object.fromEntries(
          (rule.Filter.And.Tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]),
        ),
      },
    },
    expiration: rule.Expiration && {
      date: rule.Expiration.Date?.toISOString(),
      days: rule.Expiration.Days,
      expiredObjectDeleteMarker: rule.Expiration.ExpiredObjectDeleteMarker,
    },
    abortIncompleteMultipartUpload: rule.AbortIncompleteMultipartUpload && {
      daysAfterInitiation: rule.AbortIncompleteMultipartUpload.DaysAfterInitiation,
    },
    noncurrentVersionExpiration: rule.NoncurrentVersionExpiration && {
      noncurrentDays: rule.NoncurrentVersionExpiration.NoncurrentDays,
      newerNoncurrentVersions: rule.NoncurrentVersionExpiration.NewerNoncurrentVersions,
    },
    noncurrentVersionTransitions: rule.NoncurrentVersionTransitions?.map(transition => ({
      noncurrentDays: transition.NoncurrentDays,
      newerNoncurrentVersions: transition.NewerNoncurrentVersions,
      storageClass: transition.StorageClass,
    })),
    transitions: rule.Transitions?.map(transition => ({
      date: transition.Date?.toISOString(),
      days: transition.Days,
      storageClass: transition.StorageClass,
    })),
  };
}

function fromMatching(from: {
  Prefix?: string | undefined;
  ObjectSizeGreaterThan?: number | undefined;
  ObjectSizeLessThan?: number | undefined;
}) {
  return {
    prefix: from.Prefix,
    objectSizeGreaterThan: from.ObjectSizeGreaterThan,
    objectSizeLessThan: from.ObjectSizeLessThan,
  };
}
