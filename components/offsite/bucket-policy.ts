/**
 * What a bucket refuses whoever asks, its own account's administrators included: plain http, and a put that could
 * overwrite a backup. The parts of a multipart upload cannot carry that condition; the request that completes it must.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
 *
 * @param arn the bucket's, `arn:aws:s3:::NAME`
 * @param prefix what the stack's keys begin with, `dev/`
 * @param tls whether the store is reached over https; over http the first rule would refuse everything
 */
export function bucketPolicy(arn: string, prefix: string, tls: boolean) {
  return {
    Version: "2012-10-17",
    Statement: [
      ...(tls ? [withoutTls(arn)] : []),
      {
        Sid: "NoOverwriting",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:PutObject",
        Resource: `${arn}/${prefix}*`,
        Condition: { Null: { "s3:if-none-match": "true" }, Bool: { "s3:ObjectCreationOperation": "true" } },
      },
    ],
  };
}

function withoutTls(arn: string) {
  return {
    Sid: "NothingWithoutTls",
    Effect: "Deny",
    Principal: "*",
    Action: "s3:*",
    Resource: [arn, `${arn}/*`],
    Condition: { Bool: { "aws:SecureTransport": "false" } },
  };
}
