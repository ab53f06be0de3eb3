import { expect, it } from "vitest";
import { type Registered, runProgram } from "../support/stack-mocks.ts";

/**
 * What the states of existing stacks call their resources. A resource that is called otherwise is another one to Pulumi, which
 * then removes the old one: the database's container and volume among them. So no line is ever changed or taken away: rename
 * a resource by giving it an alias of its old name, and add a line.
 */
const FROZEN = `
aws:iam/accessKey:AccessKey offsite-reader-key in budgie:stack:BackupBucket
aws:iam/accessKey:AccessKey offsite-writer-key in budgie:stack:BackupBucket
aws:iam/user:User offsite-reader in budgie:stack:BackupBucket
aws:iam/user:User offsite-writer in budgie:stack:BackupBucket
aws:iam/userPolicy:UserPolicy offsite-reader-policy in budgie:stack:BackupBucket
aws:iam/userPolicy:UserPolicy offsite-writer-policy in budgie:stack:BackupBucket
aws:s3/bucket:Bucket offsite-bucket in budgie:stack:BackupBucket
aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration offsite-lifecycle in budgie:stack:BackupBucket
aws:s3/bucketOwnershipControls:BucketOwnershipControls offsite-ownership in budgie:stack:BackupBucket
aws:s3/bucketPolicy:BucketPolicy offsite-policy in budgie:stack:BackupBucket
aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock offsite-public-access-block in budgie:stack:BackupBucket
aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration offsite-encryption in budgie:stack:BackupBucket
aws:s3/bucketVersioning:BucketVersioning offsite-versioning in budgie:stack:BackupBucket
budgie:stack:Backend backend
budgie:stack:BackupAgent backup-agent
budgie:stack:BackupBucket offsite
budgie:stack:BackupGates backup-gates
budgie:stack:Database database
budgie:stack:FirstBackup first-backup
budgie:stack:ObjectStore object-store
command:local:Command backup-gate-of-older-stacks
command:local:Command backend-ready in budgie:stack:Backend
command:local:Command backend-session-secret in budgie:stack:Backend
command:local:Command backup-agent-database-identity in budgie:stack:BackupAgent
command:local:Command backup-gates-before-change in budgie:stack:BackupGates
command:local:Command database-initial-password in budgie:stack:Database
command:local:Command database-password in budgie:stack:Database
command:local:Command database-ready in budgie:stack:Database
command:local:Command first-backup-proof in budgie:stack:FirstBackup
command:local:Command network-members
command:local:Command object-store-bucket in budgie:stack:ObjectStore
command:local:Command object-store-reader-secret in budgie:stack:ObjectStore
command:local:Command object-store-root-secret in budgie:stack:ObjectStore
command:local:Command object-store-writer-secret in budgie:stack:ObjectStore
docker:index/container:Container backend-container in budgie:stack:Backend
docker:index/container:Container backup-agent-container in budgie:stack:BackupAgent
docker:index/container:Container database-container in budgie:stack:Database
docker:index/container:Container object-store-container in budgie:stack:ObjectStore
docker:index/network:Network network
docker:index/remoteImage:RemoteImage backend-image in budgie:stack:Backend
docker:index/remoteImage:RemoteImage backup-agent-image in budgie:stack:BackupAgent
docker:index/remoteImage:RemoteImage database-image in budgie:stack:Database
docker:index/remoteImage:RemoteImage object-store-image in budgie:stack:ObjectStore
docker:index/volume:Volume database-volume in budgie:stack:Database
docker:index/volume:Volume object-store-volume in budgie:stack:ObjectStore
pulumi:index:Stash container-engine
pulumi:index:Stash data
pulumi:providers:aws offsite-provider in budgie:stack:BackupBucket
pulumi:providers:docker engine
`
  .trim()
  .split("\n");

const nameOf = (type: string, name: string, parent: string) => {
  const parentType = parent.split("::").at(-2)?.split("$").at(-1) ?? "";
  return `${type} ${name}${parentType.startsWith("budgie:") ? ` in ${parentType}` : ""}`;
};
const namesOf = ({ type, name, request }: Registered) => nameOf(type, name, request.getParent());
const aliasesOf = ({ type, name, request }: Registered) =>
  request.getAliasesList().flatMap(alias => {
    const spec = alias.getSpec();
    return spec
      ? [nameOf(spec.getType() || type, spec.getName() || name, spec.getParenturn() || request.getParent())]
      : [];
  });

it("every resource still goes by the name, or has it for an alias, that the states of existing stacks know", async () => {
  const resources = [
    ...(await runProgram()).resources,
    ...(await runProgram({ "budgie:objectStore": "aws", "budgie:bucket": "example-budgie-backups" }))
      .resources,
  ];
  const names = new Set(resources.map(namesOf));
  const known = new Set([...names, ...resources.flatMap(aliasesOf)]);
  expect({
    "renamed without an alias, or gone": FROZEN.filter(name => !known.has(name)),
    "new, to be added to the list": [...names].filter(name => !FROZEN.includes(name)).sort(),
  }).toEqual({ "renamed without an alias, or gone": [], "new, to be added to the list": [] });
});
