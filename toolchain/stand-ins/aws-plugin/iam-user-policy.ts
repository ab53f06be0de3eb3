import { DeleteUserPolicyCommand, GetUserPolicyCommand, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import type { Properties } from "../provider.ts";
import type { Connection } from "./connection.ts";
import { unless } from "./errors.ts";
import type { Kind } from "./kind.ts";

export const userPolicy: Kind = {
  type: "aws:iam/userPolicy:UserPolicy",
  fields: {
    name: { is: "text", replaces: true },
    user: { is: "text", required: true, replaces: true },
    policy: { is: "policy", required: true },
  },
  unsupported: ["namePrefix"],
  named: { property: "name", lowerCase: false },
  outputs: [],
  create: async (at, inputs) => {
    await put(at, inputs);
    return { id: `${inputs.user}:${inputs.name}`, outputs: {} };
  },
  read: async (at, id) => {
    const names = namesIn(id);
    const answer = await unless(["NoSuchEntity"], at.iam.send(new GetUserPolicyCommand(names)));
    if (!answer?.PolicyDocument) return undefined;
    const policy = decodeURIComponent(answer.PolicyDocument);
    return { inputs: { name: names.PolicyName, user: names.UserName, policy }, outputs: {} };
  },
  update: (at, _id, news) => put(at, news),
  remove: async (at, id) =>
    void (await unless(["NoSuchEntity"], at.iam.send(new DeleteUserPolicyCommand(namesIn(id))))),
};

async function put(at: Connection, inputs: Properties): Promise<void> {
  const { user, name, policy } = inputs as { user: string; name: string; policy: string };
  await at.iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: name, PolicyDocument: policy }));
}

function namesIn(id: string): { UserName: string; PolicyName: string } {
  const [UserName, PolicyName, ...more] = id.split(":");
  if (UserName && PolicyName && more.length === 0) return { UserName, PolicyName };
  throw new Error(`the id of a user's policy is USER:POLICY, and not ${JSON.stringify(id)}`);
}
