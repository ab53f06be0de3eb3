// The executable pulumi-resource-aws: the few kinds of AWS resources that this project declares, as a provider that drives a
// real S3, IAM and RDS server. Only for machines that cannot download the official plugin; it refuses whatever it has not.
import type { Call, Properties, Provider } from "../provider.ts";
import { serve } from "../provider-protocol.ts";
import { bucket } from "./bucket.ts";
import { bucketServerSideEncryptionConfiguration } from "./bucket-encryption.ts";
import { bucketLifecycleConfiguration } from "./bucket-lifecycle.ts";
import { bucketObjectLockConfiguration } from "./bucket-object-lock.ts";
import { bucketOwnershipControls } from "./bucket-ownership-controls.ts";
import { bucketPolicy } from "./bucket-policy.ts";
import { bucketPublicAccessBlock } from "./bucket-public-access-block.ts";
import { bucketVersioning } from "./bucket-versioning.ts";
import { type Connection, checkConfig, connect } from "./connection.ts";
import { saying } from "./errors.ts";
import { accessKey } from "./iam-access-key.ts";
import { user } from "./iam-user.ts";
import { userPolicy } from "./iam-user-policy.ts";
import { checked, difference, type Kind, previewed, refreshed, stateOf } from "./kind.ts";
import { cluster } from "./rds/cluster.ts";
import { clusterInstance } from "./rds/cluster-instance.ts";
import { instance } from "./rds/instance.ts";
import { clusterParameterGroup, parameterGroup } from "./rds/parameter-group.ts";
import { subnetGroup } from "./rds/subnet-group.ts";

const kinds = [
  bucket,
  bucketVersioning,
  bucketPublicAccessBlock,
  bucketOwnershipControls,
  bucketServerSideEncryptionConfiguration,
  bucketPolicy,
  bucketLifecycleConfiguration,
  bucketObjectLockConfiguration,
  user,
  userPolicy,
  accessKey,
  subnetGroup,
  parameterGroup,
  clusterParameterGroup,
  instance,
  cluster,
  clusterInstance,
];

let configuration: Record<string, string> = {};
let connection: Promise<Connection> | undefined;

const provider: Provider = {
  name: "aws",
  version: PLUGIN_VERSION,
  checkConfig,
  configure: given => {
    configuration = given;
  },
  check: (call, olds, news, seed) => checked(kindOf(call), call.name, olds, news, seed),
  diff: (call, olds, news) => difference(kindOf(call), olds, news),
  create: async (call, inputs, preview) => {
    const kind = kindOf(call);
    if (preview) return { id: "", state: previewed(kind, inputs) };
    const made = await at(call, "creating", there => kind.create(there, inputs));
    return { id: made.id, state: stateOf(kind, inputs, made.outputs) };
  },
  read: async (call, id, inputs, state) => {
    const kind = kindOf(call);
    const found = await at(call, "reading", there => kind.read(there, id, state));
    return found && refreshed(kind, inputs, found);
  },
  update: async (call, id, olds, news, preview) => {
    const kind = kindOf(call);
    if (!preview) await at(call, "updating", there => kind.update(there, id, news, olds));
    return stateOf(kind, news, olds);
  },
  delete: (call, id, state) => at(call, "deleting", there => kindOf(call).remove(there, id, state)),
  invoke: async (_call, token): Promise<Properties> => {
    throw new Error(missing(token));
  },
};

function at<T>(call: Call, doing: string, run: (there: Connection) => Promise<T>): Promise<T> {
  return saying(`${doing} ${call.type.split(":").at(-1)} ${JSON.stringify(call.name)}`, async () => {
    connection ??= connect(configuration);
    return run(await connection);
  });
}

function kindOf(call: Call): Kind {
  const kind = kinds.find(({ type }) => type === call.type);
  if (kind) return kind;
  throw new Error(missing(call.type));
}

function missing(what: string): string {
  const known = kinds.map(({ type }) => type.split(":").at(-1)).join(", ");
  return `${what} is not in the AWS plugin's stand-in, which has ${known}; the official plugin is needed for it`;
}

serve(provider);

declare const PLUGIN_VERSION: string;
