import { ListBucketsCommand } from "@aws-sdk/client-s3";
import { type ObjectStore, openStore, type StoreCredentials } from "../../object-store/client.ts";
import { asking } from "../../object-store/errors.ts";
import { readerRights, writerRights } from "../../shared/bucket-rights.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { answerWithin } from "../base/until.ts";
import { storeAdmin } from "./admin.ts";
import { setUpBucket } from "./bucket.ts";
import { proveReader, proveWriter, setUpIdentity } from "./identities.ts";
import { type LocalStoreWanted, wanted } from "./wanted.ts";

const ASK_EVERY_MS = 250;

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
      "The stack runs this command itself: `npm run pulumi -- up`.",
    );
  }
}

/** Its container may just have been started. */
async function untilItAnswers(store: ObjectStore, withinMs: number): Promise<void> {
  let starting: Stop | null = null;
  const ask = async () => {
    try {
      return await asking(store, () => store.client.send(new ListBucketsCommand({})));
    } catch (error) {
      if (!(error instanceof Stop) || error.code !== EXIT.storeUnreachable) throw error;
      starting = error;
      return null;
    }
  };
  if ((await answerWithin(withinMs, ask, ASK_EVERY_MS)) === null) throw starting;
}
