import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { isRecipient, splitRecipients } from "../shared/age-recipient.ts";
import { STORAGE_CLASSES, type StorageClass } from "../shared/bucket-lifecycle.ts";
import { sshTarget } from "../shared/ssh-target.ts";
import { boolean, imageName, integer, optional, type SettingDefinition, secret, text } from "./definition.ts";
import { isPlainPrivateKey, isPublicKey } from "./ssh-key.ts";

/** The object store that every backup is sent to as well, or none. */
export type ObjectStoreSettings =
  | { kind: "none" }
  | { kind: "local"; bucket: string; region: string; image: string; lifecycle: Lifecycle }
  | {
      kind: "aws";
      bucket: string;
      region: string;
      /** Other than Amazon's own: a VPC endpoint. */
      endpoint: string | undefined;
      pathStyle: boolean;
      lifecycle: Lifecycle;
    }
  | {
      kind: "s3";
      bucket: string;
      region: string;
      endpoint: string;
      pathStyle: boolean;
      /** As set; undefined to tell it by the endpoint's name. */
      profile: ProfileName | undefined;
      /** Set up the bucket, and read it for a restore. */
      operator: Credentials;
      /** What the backup agent gets; the operator's when undefined. */
      writer: Credentials | undefined;
      lifecycle: Lifecycle;
    };

export interface Credentials {
  accessKeyId: pulumi.Output<string>;
  secretAccessKey: pulumi.Output<string>;
}

/** What becomes of a backup in the bucket. All in days. */
export interface Lifecycle {
  /** Until a backup is hidden by a delete marker. */
  keepDays: number;
  /** From then, or from its being overwritten, until it is gone. */
  noncurrentDays: number;
  transition: { storageClass: StorageClass; days: number } | undefined;
  /** How long no ordinary credentials can delete a backup (governance mode); 0 for no object lock. */
  lockDays: number;
}

/** Where every backup is sent to over ssh as well. */
export interface SshSettings {
  /** `ssh://user@host:port/folder` */
  target: string;
  /** An OpenSSH private key without a passphrase. */
  key: pulumi.Output<string>;
  /** The server's public key, e.g. `ssh-ed25519 AAAA…`. */
  hostKey: string;
}

const PROFILES = ["minio", "r2", "b2", "garage", "s3"] as const;
export type ProfileName = (typeof PROFILES)[number];

/**
 * Amazon's rules, and no dots: as a part of the host's name, one with a dot fits no certificate. Amazon reserves these
 * beginnings and endings.
 */
const BUCKET_NAME =
  /^(?!xn--|sthree-|amzn-s3-demo-)(?!.*(-s3alias|--ol-s3|--x-s3|--table-s3)$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
const LOCAL_BUCKET = "budgie-backups";

const accessKey = {
  schema: optional(text(/^[\x21-\x7e]{3,128}$/)),
  allowed: "3 to 128 letters, digits and signs of ASCII without spaces, stored as a secret",
  example: "",
  secret: true,
} as const;
const secretKey = {
  schema: optional(secret(8)),
  allowed: "8 to 200 letters, digits and signs of ASCII without spaces, stored as a secret",
  example: "",
  secret: true,
} as const;

export const offsiteDefinitions = {
  objectStore: {
    schema: z.enum(["aws", "s3", "local", "none"]),
    allowed: "aws, s3, local or none",
    example: "aws",
  },
  backupsOnThisMachineOnly: { schema: boolean, allowed: "true or false", example: "true" },
  bucket: {
    schema: optional(text(BUCKET_NAME)),
    allowed:
      "3 to 63 lower-case letters, digits and hyphens, with a letter or digit first and last, or nothing",
    example: "example-budgie-backups",
  },
  region: {
    schema: text(/^[a-z0-9][a-z0-9-]{0,62}$/),
    allowed: "the region's name in lower-case letters, digits and hyphens",
    example: "eu-central-1",
  },
  s3Endpoint: {
    schema: optional(
      z
        .string()
        .refine(isEndpoint)
        .transform(value => value.replace(/\/$/, "")),
    ),
    allowed: "http:// or https:// and a host, with a port or without, and nothing behind it; or nothing",
    example: "https://s3.example.com",
  },
  s3PathStyle: { schema: boolean, allowed: "true or false", example: "true" },
  objectStoreProfile: {
    schema: optional(z.enum(PROFILES)),
    allowed: `${PROFILES.slice(0, -1).join(", ")} or ${PROFILES.at(-1)}, or nothing`,
    example: "minio",
  },
  s3AccessKeyId: accessKey,
  s3SecretAccessKey: secretKey,
  s3WriterAccessKeyId: accessKey,
  s3WriterSecretAccessKey: secretKey,
  objectStoreImage: {
    schema: imageName,
    allowed: "an image's name",
    example: "pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
  },
  offsiteKeepDays: {
    schema: integer(1, 3650),
    allowed: "a whole number of days from 1 to 3650",
    example: "90",
  },
  offsiteNoncurrentDays: {
    schema: integer(1, 3650),
    allowed: "a whole number of days from 1 to 3650",
    example: "30",
  },
  offsiteTransitionClass: {
    schema: optional(z.enum(STORAGE_CLASSES)),
    allowed: `${STORAGE_CLASSES.slice(0, -1).join(", ")} or ${STORAGE_CLASSES.at(-1)}, or nothing`,
    example: "STANDARD_IA",
  },
  offsiteTransitionDays: {
    schema: optional(integer(1, 3650), "0"),
    allowed: "a whole number of days from 1 to 3650, or 0 for no transition",
    example: "30",
  },
  objectLockDays: {
    schema: optional(integer(1, 3650), "0"),
    allowed: "a whole number of days from 1 to 3650, or 0 for no object lock",
    example: "30",
  },
  backupRecipients: {
    schema: optional(
      z
        .string()
        .transform(splitRecipients)
        .refine(recipients => recipients.length > 0 && recipients.every(isRecipient)),
    ),
    allowed: "age public keys (age1…, as age-keygen prints them), separated by spaces, or nothing",
    example: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
  },
  offsiteSsh: {
    schema: optional(
      z
        .string()
        .refine(value => sshTarget(value) !== undefined)
        .transform(value => sshTarget(value) as string),
    ),
    allowed: "USER@HOST:/FOLDER or ssh://USER@HOST:PORT/FOLDER, or nothing",
    example: "budgie@nas.example.com:/volume1/budgie",
  },
  offsiteSshKey: {
    schema: optional(z.string().refine(isPlainPrivateKey)),
    allowed: "an OpenSSH private key without a passphrase, stored as a secret",
    example: "< ~/.ssh/budgie_offsite",
    secret: true,
  },
  offsiteSshHostKey: {
    schema: optional(z.string().refine(isPublicKey)),
    allowed: "the ssh server's public key, as `ssh-keyscan` prints it behind the host's name, or nothing",
    example: "ssh-ed25519 AAAAC3Nza...",
  },
} satisfies Record<string, SettingDefinition>;

export type OffsiteValues = {
  [Name in keyof typeof offsiteDefinitions]: z.output<(typeof offsiteDefinitions)[Name]["schema"]>;
};

/** For values that do not contradict each other. */
export function toObjectStore(values: OffsiteValues): ObjectStoreSettings {
  const { region, s3PathStyle: pathStyle, s3Endpoint: endpoint, bucket = LOCAL_BUCKET } = values;
  const lifecycle = toLifecycle(values);
  switch (values.objectStore) {
    case "none":
      return { kind: "none" };
    case "local":
      return { kind: "local", bucket, region, image: values.objectStoreImage, lifecycle };
    case "aws":
      return {
        kind: "aws",
        bucket,
        region,
        endpoint,
        pathStyle: pathStyle && endpoint !== undefined,
        lifecycle,
      };
    case "s3":
      return {
        kind: "s3",
        bucket,
        region,
        endpoint: endpoint as string,
        pathStyle,
        profile: values.objectStoreProfile,
        operator: credentials(values.s3AccessKeyId, values.s3SecretAccessKey) as Credentials,
        writer: credentials(values.s3WriterAccessKeyId, values.s3WriterSecretAccessKey),
        lifecycle,
      };
  }
}

/** For values that do not contradict each other. */
export function toSsh({
  offsiteSsh,
  offsiteSshKey,
  offsiteSshHostKey,
}: OffsiteValues): SshSettings | undefined {
  if (!offsiteSsh || !offsiteSshKey || !offsiteSshHostKey) return undefined;
  // Without the last line's end, which a prompt and a shell cut off, ssh refuses the file.
  return {
    target: offsiteSsh,
    key: pulumi.secret(`${offsiteSshKey.trimEnd()}\n`),
    hostKey: offsiteSshHostKey,
  };
}

function toLifecycle(values: OffsiteValues): Lifecycle {
  const { offsiteTransitionClass: storageClass, offsiteTransitionDays: days } = values;
  return {
    keepDays: values.offsiteKeepDays,
    noncurrentDays: values.offsiteNoncurrentDays,
    transition: storageClass && days ? { storageClass, days } : undefined,
    lockDays: values.objectLockDays ?? 0,
  };
}

function credentials(id: string | undefined, key: string | undefined): Credentials | undefined {
  if (!id || !key) return undefined;
  return { accessKeyId: pulumi.secret(id), secretAccessKey: pulumi.secret(key) };
}

function isEndpoint(value: string): boolean {
  return /^https?:\/\/[^/?#@\s]+\/?$/.test(value) && URL.canParse(value);
}
