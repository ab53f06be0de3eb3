/** What a user of a store may do, in the language of IAM, which the MinIO line speaks as well. */
export interface Rights {
  Version: "2012-10-17";
  Statement: {
    Effect: "Allow";
    Action: string[];
    Resource: string[];
    Condition?: Record<string, Record<string, string[]>>;
  }[];
}

/**
 * Adding, and nothing else: who takes over the agent's container can read, hide and delete no backup with it.
 *
 * @param arn the bucket's, `arn:aws:s3:::NAME`
 * @param prefix what the stack's keys begin with, `dev/`
 */
export function writerRights(arn: string, prefix: string): Rights {
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: ["s3:AbortMultipartUpload", "s3:PutObject"],
        Resource: [`${arn}/${prefix}*`],
      },
    ],
  };
}

/** Listing and reading, for whoever restores. */
export function readerRights(arn: string, prefix: string): Rights {
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: ["s3:GetObject"], Resource: [`${arn}/${prefix}*`] },
      {
        Effect: "Allow",
        Action: ["s3:ListBucket"],
        Resource: [arn],
        Condition: { StringLike: { "s3:prefix": [`${prefix}*`] } },
      },
    ],
  };
}
