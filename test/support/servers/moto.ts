import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { motoServer } from "../../../toolchain/machine/moto.ts";
import { freePort } from "./free-port.ts";
import { addressForContainers, localServer, serverFolder } from "./local-server.ts";

export interface TestMoto {
  /** `http://ADDRESS:PORT`, for S3, IAM and STS, from this machine and from containers alike. */
  endpoint: string;
  /** With `iam`, a user's who may do everything; otherwise nobody checks them. */
  accessKeyId: string;
  secretAccessKey: string;
  /** Ends it. It kept everything in memory. */
  stop(): Promise<void>;
}

/**
 * Runs moto, an imitation of AWS, as a process on this machine until `stop()` or until the test process ends. Nothing expires
 * in it.
 * @param options.iam check signatures, users' policies and bucket policies as AWS does
 */
export async function startMoto(options: { iam?: boolean } = {}): Promise<TestMoto> {
  const [[file, ...args], address, port, folder] = await Promise.all([
    motoServer(),
    addressForContainers(),
    freePort(),
    serverFolder("moto"),
  ]);
  const endpoint = `http://${address}:${port}`;
  const server = localServer({
    name: "moto",
    folder,
    file,
    args: [...args, "-H", "0.0.0.0", "-p", String(port)],
    ready: async () => (await fetch(`${endpoint}/moto-api/data.json`)).ok,
  });
  await server.start();
  const credentials = options.iam
    ? await checkEveryCall(endpoint)
    : { accessKeyId: "anyone", secretAccessKey: "anything" };
  return { endpoint, ...credentials, stop: server.stop };
}

/** Makes the user who may do everything, before calls are checked, and then switches the checks on. */
async function checkEveryCall(endpoint: string): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const anyone = { accessKeyId: "anyone", secretAccessKey: "anything" };
  const iam = new IAMClient({ endpoint, region: "us-east-1", credentials: anyone });
  const UserName = "administrator";
  await iam.send(new CreateUserCommand({ UserName }));
  const everything = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
  };
  await iam.send(
    new PutUserPolicyCommand({
      UserName,
      PolicyName: "everything",
      PolicyDocument: JSON.stringify(everything),
    }),
  );
  const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  iam.destroy();
  const answer = await fetch(`${endpoint}/moto-api/reset-auth`, { method: "POST", body: "0" });
  if (!answer.ok || !key?.AccessKeyId || !key.SecretAccessKey) {
    throw new Error(`moto could not be told to check every call: ${answer.status} ${await answer.text()}`);
  }
  return { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey };
}
