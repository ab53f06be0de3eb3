import { DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import type { ObjectStore } from "./client.ts";
import { asking, isAlreadyThere } from "./errors.ts";

/** Not a backup's name, so a kill leaves nothing that a list or a restore would take for one. The next probe takes it along. */
const NAME = "probe";

/**
 * Puts one small object as the agent puts a backup, never overwriting, then a second time, and removes it with the operator's key. Throws a Stop
 * that says what the store refuses, and for a store that overwrites all the same.
 */
export async function probeStore(writer: ObjectStore, operator: ObjectStore): Promise<void> {
  const target = { Bucket: writer.bucket, Key: `${writer.prefix}${NAME}` };
  await putOnce(writer, target);
  const kept = !(await putOnce(writer, target));
  await asking(operator, () => operator.client.send(new DeleteObjectCommand(target)));
  if (kept) return;
  throw new Stop(
    EXIT.storeRefused,
    `The object store ${writer.shown} overwrites what is there, although it was asked not to (If-None-Match): a copy that is good could be lost to one that is not.`,
    "Use another store, or a newer version of this one.",
  );
}

/** Whether it was put; false when something is there. */
async function putOnce(store: ObjectStore, target: { Bucket: string; Key: string }): Promise<boolean> {
  return asking(store, async () => {
    try {
      await store.client.send(new PutObjectCommand({ ...target, Body: "probe", IfNoneMatch: "*" }));
      return true;
    } catch (error) {
      if (isAlreadyThere(error)) return false;
      throw error;
    }
  });
}
