import { S3Client } from "@aws-sdk/client-s3";

/** A client of a test's own S3 server, with the credentials given. */
export function s3Client({
  endpoint,
  accessKeyId,
  secretAccessKey,
  maxAttempts = 3,
}: {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  maxAttempts?: number;
}): S3Client {
  const credentials = { accessKeyId, secretAccessKey };
  return new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true, maxAttempts });
}
