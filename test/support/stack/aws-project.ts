import { type CommandResult, pulumiProject, type TestProject } from "./pulumi-project.ts";

const provider = `
import * as pulumi from "@pulumi/pulumi";
import * as aws from "@pulumi/aws";
const { BUCKET = "", ENDPOINT = "", ACCESS_KEY = "", SECRET_KEY = "" } = process.env;
const provider = new aws.Provider("aws", {
  region: "us-east-1",
  accessKey: ACCESS_KEY,
  secretKey: pulumi.secret(SECRET_KEY),
  endpoints: [{ s3: ENDPOINT, iam: ENDPOINT, sts: ENDPOINT }],
  s3UsePathStyle: true,
  skipCredentialsValidation: true,
  skipRequestingAccountId: true,
  skipMetadataApiCheck: true,
  skipRegionValidation: true,
});
`;

/** The projects of a test file, to be removed together. */
export interface AwsProjects {
  of(bucket: string, resources: string): Promise<TestProject>;
  remove(): Promise<void>;
}

interface Server {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
}

export function awsProjects(server: () => Server): AwsProjects {
  const made: TestProject[] = [];
  return {
    of: async (bucket, resources) => {
      const project = await awsProject(server(), bucket, resources);
      made.push(project);
      return project;
    },
    remove: async () => {
      for (const project of made) await project.remove();
    },
  };
}

/**
 * A project whose program has `pulumi`, `aws`, a `provider` for the given server, and the bucket's name as BUCKET. Each command
 * may add to its environment.
 */
async function awsProject(server: Server, bucket: string, resources: string): Promise<TestProject> {
  const project = await pulumiProject("aws", provider + resources);
  const own = {
    BUCKET: bucket,
    ENDPOINT: server.endpoint,
    ACCESS_KEY: server.accessKeyId,
    SECRET_KEY: server.secretAccessKey,
  };
  return {
    ...project,
    pulumi: (args, env): Promise<CommandResult> => project.pulumi(args, { ...own, ...env }),
    up: env => project.up({ ...own, ...env }),
    requireNoChange: env => project.requireNoChange({ ...own, ...env }),
  };
}
