import { setTimeout as sleep } from "node:timers/promises";
import { ListBucketsCommand } from "@aws-sdk/client-s3";
import { z } from "zod";
import { readerRights, writerRights } from "./bucket-rights.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { storeAdmin } from "./local-store-admin.ts";
import { setUpBucket } from "./local-store-bucket.ts";
import { proveReader, proveWriter, setUpIdentity } from "./local-store-identities.ts";
import { type ObjectStore, openStore, type StoreCredentials } from "./object-store.ts";
import { asking } from "./store-errors.ts";

const keys = z.object({ accessKeyId: z.string().min(3), secretAccessKey: z.string().min(8) });
const days = z.number().int().min(1);

/** What the stack wants of its own store. Read from standard input, because of the secrets. */
const wanted = z.object({
  endpoint: z.url({ protocol: /^https?$/ }),
  region: z.string().min(1),
  bucket: z.string().min(3),
  prefix: z.string().endsWith("/"),
  keepDays: days,
  noncurrentDays: days,
  /** 0 for no object lock. */
  lockDays: z.number().int().min(0),
  root: keys,
  writer: keys,
  reader: keys,
});

export type LocalStoreWanted = z.infer<typeof wanted>;

/**
 * Makes the stack's own object store ready for backups: the bucket, what becomes of what is in it, an identity that can
 * only add and one that can only read; then tries what each can do, and what it cannot. Safe to repeat. Deletes nothing.
 *
 * @param json what is wanted, as JSON: see `wanted`
 * @param answerWithinMs how long the store's container may take to start
 * @returns one line for the operator
 * @throws Stop storeUnreachable when it does not answer, storeRefused when it does not do what it should
 */
export async function prepareLocalStore(json: string, answerWithinMs = 60_000): Promise<string> {
  const settings = parse(json);
  const { prefix, root, writer, reader } = settings;
  const arn = `arn:aws:s3:::${settings.bucket}`;
  const open = (credentials: StoreCredentials, role: ObjectStore["role"]) =>
    openStore({ ...settings, kind: "local", pathStyle: true }, credentials, role);
  const store = open(root, "writer");
  await untilItAnswers(store, answerWithinMs);
  await setUpBucket(store, settings);
  const admin = storeAdmin(store, settings.endpoint, root);
  await setUpIdentity(admin, writer, writerRights(arn, prefix));
  await setUpIdentity(admin, reader, readerRights(arn, prefix));
  await proveWriter(open(writer, "writer"), writer.accessKeyId);
  await proveReader(open(reader, "reader"), reader.accessKeyId);
  return `${store.shown} is ready: ${writer.accessKeyId} can only add, ${reader.accessKeyId} can only read`;
}

function parse(json: string): LocalStoreWanted {
  try {
    return wanted.parse(JSON.parse(json));
  } catch {
    // What the parsers say would quote it.
    throw new Stop(
      EXIT.usage,
      "What the local store should be is not on standard input.",
      "The stack runs this command itself: `pulumi up`.",
    );
  }
}

/** Its container may just have been started. */
async function untilItAnswers(store: ObjectStore, withinMs: number): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    try {
      await asking(store, () => store.client.send(new ListBucketsCommand({})));
      return;
    } catch (error) {
      const starting = error instanceof Stop && error.code === EXIT.storeUnreachable;
      if (!starting || Date.now() > giveUpAt) throw error;
    }
    await sleep(250);
  }
}
