import { z } from "zod";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { askPulumi } from "../stack/project-tools.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { handOver } from "./hand-over.ts";

/** The stack's output that holds them; see index.ts. */
const OUTPUT = "objectStoreReader";

const credentials = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  /** For a bucket that is not in the stack's own store. */
  endpoint: z.url().optional(),
  region: z.string().optional(),
});
export type ReaderCredentials = z.infer<typeof credentials>;

/** Gives the agent the credentials that may read the bucket, for its next command only. Returns where they are. */
export function handOverReader(stack: Stack, reader: ReaderCredentials): Promise<string> {
  return handOver(stack, "keep-reader", "the bucket's reader", Buffer.from(JSON.stringify(reader)));
}

/** From the environment, else from the stack's state. Throws a Stop when neither has them. */
export async function readerCredentials(
  stackName: string,
  environment: NodeJS.ProcessEnv,
): Promise<ReaderCredentials> {
  const given = fromEnvironment(environment);
  if (given) return given;
  const asked = await askPulumi(["stack", "output", OUTPUT, "--show-secrets", "--stack", stackName]);
  const output = credentials.safeParse(parse(asked.stdout));
  if (output.success) return output.data;
  const why = asked.code === EXIT.done ? "its state holds none" : lastLine(asked.stderr);
  throw new Stop(
    EXIT.storeRefused,
    `There are no credentials here that may read the bucket of stack ${stackName}: ${why}.`,
    "Run this in the folder from which the stack was brought up, or set BUDGIE_S3_READER_ACCESS_KEY_ID and BUDGIE_S3_READER_SECRET_ACCESS_KEY. Of a component they are the outputs bucketReaderId and bucketReaderSecret.",
  );
}

function fromEnvironment(environment: NodeJS.ProcessEnv): ReaderCredentials | undefined {
  const { BUDGIE_S3_READER_ACCESS_KEY_ID: id, BUDGIE_S3_READER_SECRET_ACCESS_KEY: secret } = environment;
  if (!id && !secret) return undefined;
  if (id && secret) {
    const { BUDGIE_S3_READER_ENDPOINT: endpoint, BUDGIE_S3_READER_REGION: region } = environment;
    return {
      accessKeyId: id,
      secretAccessKey: secret,
      ...(endpoint ? { endpoint } : {}),
      ...(region ? { region } : {}),
    };
  }
  throw new Stop(
    EXIT.usage,
    `BUDGIE_S3_READER_${id ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID"} is not set, and the other one is.`,
    "Set both, or neither.",
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function lastLine(text: string): string {
  return (
    text
      .trim()
      .split("\n")
      .at(-1)
      ?.replace(/^error: /, "")
      .replace(/\.$/, "") || "Pulumi did not say why"
  );
}
