import { setTimeout as pause } from "node:timers/promises";
import type { Properties } from "../provider.ts";
import type { Connection } from "./connection.ts";
import { differing, type Fields } from "./fields.ts";
import type { Kind } from "./kind.ts";

/** A part of a bucket's configuration that is a resource of its own, with the bucket's name as its id. */
interface Setting {
  type: string;
  /** But for the bucket. */
  fields: Fields;
  unsupported?: string[];
  put(at: Connection, bucket: string, inputs: Properties): Promise<void>;
  /** Undefined if it is not set, or the bucket is gone. */
  get(at: Connection, bucket: string): Promise<Properties | undefined>;
  /** Why the store has not taken it, where that can be known. */
  whyNotTaken?(found: Properties): string | undefined;
  /** Only called for one that is set. */
  remove(at: Connection, bucket: string, state: Properties): Promise<void>;
}

/** How often, with a pause between, a server is asked whether it has taken what it accepted. */
const ASKED = 5;
const PAUSE_MS = 1_000;

export function bucketSetting(setting: Setting): Kind {
  const put = async (at: Connection, inputs: Properties) => {
    const bucket = inputs.bucket as string;
    await setting.put(at, bucket, inputs);
    await requireTaken(setting, at, bucket, inputs);
    return { id: bucket, outputs: {} };
  };
  return {
    type: setting.type,
    fields: { bucket: { is: "text", required: true, replaces: true }, ...setting.fields },
    unsupported: ["region", ...(setting.unsupported ?? [])],
    outputs: [],
    create: put,
    update: async (at, _id, news) => void (await put(at, news)),
    read: async (at, id) => {
      const found = await setting.get(at, id);
      return found && { inputs: { bucket: id, ...found }, outputs: {} };
    },
    remove: async (at, id, state) => {
      // MinIO takes the removal of a part that it does not have for that of the whole bucket, and obeys.
      if (await setting.get(at, id)) await setting.remove(at, id, state);
    },
  };
}

/** A store may accept a setting and drop what it does not know of it. */
async function requireTaken(
  setting: Setting,
  at: Connection,
  bucket: string,
  inputs: Properties,
): Promise<void> {
  const shared = Object.fromEntries(Object.entries(setting.fields).filter(([, field]) => !field.local));
  for (let asked = 1; ; asked++) {
    const found = (await setting.get(at, bucket)) ?? {};
    const different = differing(shared, inputs, found);
    if (different.length === 0) return;
    if (asked === ASKED) throw new Error(setting.whyNotTaken?.(found) ?? notTaken(different, inputs, found));
    await pause(PAUSE_MS);
  }
}

function notTaken(different: string[], wanted: Properties, found: Properties): string {
  const show = (values: Properties) => JSON.stringify(different.map(name => values[name] ?? null));
  return `the server accepted it, but has not taken it: ${different.join(", ")} should be ${show(wanted)} and is ${show(found)}`;
}
