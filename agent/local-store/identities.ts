import { isDeepStrictEqual } from "node:util";
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import type { ObjectStore } from "../../object-store/client.ts";
import { asking } from "../../object-store/errors.ts";
import type { Rights } from "../../shared/bucket-rights.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { StoreAdmin, UserKeys } from "./admin.ts";

/** Makes the user, or gives it this secret. Its only policy has these rights, and the user's name. Throws a Stop. */
export async function setUpIdentity(admin: StoreAdmin, user: UserKeys, rights: Rights): Promise<void> {
  const name = user.accessKeyId;
  await admin.setPolicy(name, rights);
  await admin.setUser(user);
  await admin.givePolicy(name, name);
  const { policyName, status } = await admin.user(name);
  if (policyName !== name || status !== "enabled") throw cannotBe(name, "what it was made");
  if (!isDeepStrictEqual(inOrder(await admin.policy(name)), inOrder(rights)))
    throw cannotBe(name, "limited as it should be");
}

/** Sorts lists: the server gives back the actions and resources of a policy in any order. */
function inOrder(policy: unknown): unknown {
  return JSON.parse(JSON.stringify(policy), (_, value: unknown) =>
    Array.isArray(value) && value.every(item => typeof item === "string") ? value.sort() : value,
  );
}

/** Begins an upload and gives it up. That needs the rights to put and to give up, and leaves nothing behind. */
export async function proveWriter(store: ObjectStore, name: string): Promise<void> {
  const { client, bucket: Bucket, prefix } = store;
  const Key = `${prefix}never-written`;
  const { UploadId } = await asking(store, () =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key })),
  );
  await asking(store, () => client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })));
  await mustBeRefused(name, "read", () => client.send(new GetObjectCommand({ Bucket, Key })));
  await mustBeRefused(name, "list", () =>
    client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix, MaxKeys: 1 })),
  );
  await mustBeRefused(name, "delete", () => client.send(new DeleteObjectCommand({ Bucket, Key })));
  await mustBeRefused(name, `put outside ${prefix}`, () =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key: "never-written" })),
  );
}

export async function proveReader(store: ObjectStore, name: string): Promise<void> {
  const { client, bucket: Bucket, prefix } = store;
  const Key = `${prefix}never-written`;
  await asking(store, () => client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix, MaxKeys: 1 })));
  await mustBeRefused(name, "put", () => client.send(new CreateMultipartUploadCommand({ Bucket, Key })));
  await mustBeRefused(name, "delete", () => client.send(new DeleteObjectCommand({ Bucket, Key })));
}

/** Anything but a refusal is a failure, even no answer. */
async function mustBeRefused(name: string, what: string, request: () => Promise<unknown>): Promise<void> {
  try {
    await request();
  } catch (error) {
    if ((error as Error).name === "AccessDenied") return;
  }
  throw cannotBe(name, `kept from what it should not do (${what})`);
}

function cannotBe(name: string, what: string): Stop {
  return new Stop(
    EXIT.storeRefused,
    `The object store's user ${name} is not ${what}: the server is not of a version that this stack knows.`,
    "Choose another image: npm run pulumi -- config set budgie:objectStoreImage pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
  );
}
