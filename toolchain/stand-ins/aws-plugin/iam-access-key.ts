import {
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  GetAccessKeyLastUsedCommand,
  ListAccessKeysCommand,
  type StatusType,
  UpdateAccessKeyCommand,
} from "@aws-sdk/client-iam";
import type { Connection } from "./connection.ts";
import { unless } from "./errors.ts";
import type { Kind } from "./kind.ts";

export const accessKey: Kind = {
  type: "aws:iam/accessKey:AccessKey",
  fields: {
    user: { is: "text", required: true, replaces: true },
    status: { is: "text", oneOf: ["Active", "Inactive"], default: "Active" },
  },
  unsupported: ["pgpKey"],
  outputs: ["createDate", "secret"],
  secretOutputs: ["secret"],
  create: async (at, inputs) => {
    const UserName = inputs.user as string;
    const { AccessKey: key } = await at.iam.send(new CreateAccessKeyCommand({ UserName }));
    if (!key?.AccessKeyId) throw new Error("the server answered without a key");
    const { AccessKeyId: id } = key;
    // One that is in no state would be nobody's.
    if (inputs.status === "Inactive") {
      await setStatus(at, UserName, id, "Inactive").catch(async error => {
        await at.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId: id }));
        throw error;
      });
    }
    return { id, outputs: { createDate: key.CreateDate?.toISOString(), secret: key.SecretAccessKey } };
  },
  /** No server tells the secret a second time: it stays what the state says, and an imported key has none. */
  read: async (at, id, state) => {
    const user = (state.user as string | undefined) ?? (await ownerOf(at, id));
    if (!user) return undefined;
    const listing = at.iam.send(new ListAccessKeysCommand({ UserName: user }));
    const keys = (await unless(["NoSuchEntity"], listing))?.AccessKeyMetadata ?? [];
    const key = keys.find(({ AccessKeyId }) => AccessKeyId === id);
    if (!key) return undefined;
    const outputs = { createDate: key.CreateDate?.toISOString(), secret: state.secret };
    return { inputs: { user, status: key.Status }, outputs };
  },
  update: (at, id, news) =>
    setStatus(at, news.user as string, id, (news.status as StatusType | undefined) ?? "Active"),
  remove: async (at, id, state) => {
    const deleting = new DeleteAccessKeyCommand({ UserName: state.user as string, AccessKeyId: id });
    await unless(["NoSuchEntity"], at.iam.send(deleting));
  },
};

async function setStatus(
  at: Connection,
  UserName: string,
  AccessKeyId: string,
  Status: StatusType,
): Promise<void> {
  await at.iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status }));
}

async function ownerOf(at: Connection, AccessKeyId: string): Promise<string | undefined> {
  const asking = at.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId }));
  return (await unless(["NoSuchEntity"], asking))?.UserName;
}
