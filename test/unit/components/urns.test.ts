import { expect, it } from "vitest";
import { type Registered, runProgram } from "../../support/stack/mocks.ts";

/**
 * The names of resources in the states of existing stacks. To Pulumi a resource with another name is another resource, so it
 * removes the old one, the database's container and volume included. So no line may ever be changed or removed. To rename a
 * resource, give it an alias of its old name and add a line.
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
budgie:stack:Replica replica-nonexistent_db2_sock
command:local:Command backup-gate-of-older-stacks
command:local:Command backend-ready in budgie:stack:Backend
command:local:Command backend-session-secret in budgie:stack:Backend
command:local:Command backends-network in budgie:stack:Backend
command:local:Command backup-agent-database-identity in budgie:stack:BackupAgent
command:local:Command backup-agent-manifest-key in budgie:stack:BackupAgent
command:local:Command backup-gates-before-change in budgie:stack:BackupGates
command:local:Command database-initial-password in budgie:stack:Database
command:local:Command database-password in budgie:stack:Database
command:local:Command database-ready in budgie:stack:Database
command:local:Command first-backup-proof in budgie:stack:FirstBackup
command:local:Command network-members
command:local:Command offsite-lifecycle in budgie:stack:BackupBucket
command:local:Command offsite-ready in budgie:stack:BackupBucket
command:local:Command replica-nonexistent_db2_sock-certificate
command:local:Command replicas-ready
command:local:Command replication-authority
command:local:Command replication-certificate
command:local:Command object-store-bucket in budgie:stack:ObjectStore
command:local:Command object-store-reader-secret in budgie:stack:ObjectStore
command:local:Command object-store-root-secret in budgie:stack:ObjectStore
command:local:Command object-store-writer-secret in budgie:stack:ObjectStore
docker:index/container:Container backend-container in budgie:stack:Backend
docker:index/container:Container backup-agent-container in budgie:stack:BackupAgent
docker:index/container:Container database-container in budgie:stack:Database
docker:index/container:Container object-store-container in budgie:stack:ObjectStore
docker:index/container:Container replica-nonexistent_db2_sock-container in budgie:stack:Replica
docker:index/network:Network backends-overlay in budgie:stack:Backend
docker:index/network:Network network
docker:index/network:Network replica-nonexistent_db2_sock-network in budgie:stack:Replica
docker:index/remoteImage:RemoteImage backend-image in budgie:stack:Backend
docker:index/remoteImage:RemoteImage backup-agent-image in budgie:stack:BackupAgent
docker:index/remoteImage:RemoteImage database-image in budgie:stack:Database
docker:index/remoteImage:RemoteImage object-store-image in budgie:stack:ObjectStore
docker:index/remoteImage:RemoteImage replica-nonexistent_db2_sock-image in budgie:stack:Replica
docker:index/secret:Secret backend-db-password in budgie:stack:Backend
docker:index/secret:Secret backend-session-secret in budgie:stack:Backend
docker:index/service:Service backend-service in budgie:stack:Backend
docker:index/volume:Volume backup-agent-records in budgie:stack:BackupAgent
docker:index/volume:Volume database-volume in budgie:stack:Database
docker:index/volume:Volume object-store-volume in budgie:stack:ObjectStore
docker:index/volume:Volume replica-nonexistent_db2_sock-volume in budgie:stack:Replica
pulumi:index:Stash container-engine
pulumi:index:Stash data
pulumi:providers:aws offsite-provider in budgie:stack:BackupBucket
pulumi:providers:docker engine
pulumi:providers:docker replica-nonexistent_db2_sock-engine in budgie:stack:Replica
`
  .trim()
  .split("\n");

const KEYS = { "budgie:s3AccessKeyId": "an-id", "budgie:s3SecretAccessKey": "a-secret" };
const IN_ANOTHER_STORE = {
  "budgie:objectStore": "s3",
  "budgie:bucket": "ledger",
  "budgie:s3Endpoint": "http://127.0.0.1:1",
  ...KEYS,
};

const WITH_A_REPLICA = {
  "budgie:replicaHosts": "unix:///nonexistent/db2.sock",
  "budgie:replicationAddress": "10.0.0.5",
};

const WITH_SEVERAL_BACKENDS = { "budgie:backends": "3", "budgie:httpAddress": "0.0.0.0" };

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
    ...(await runProgram(IN_ANOTHER_STORE, { secretKeys: Object.keys(KEYS) })).resources,
    ...(await runProgram(WITH_A_REPLICA)).resources,
    ...(await runProgram(WITH_SEVERAL_BACKENDS)).resources,
  ];
  const names = new Set(resources.map(namesOf));
  const known = new Set([...names, ...resources.flatMap(aliasesOf)]);
  expect({
    "renamed without an alias, or gone": FROZEN.filter(name => !known.has(name)),
    "new, to be added to the list": [...names].filter(name => !FROZEN.includes(name)).sort(),
  }).toEqual({ "renamed without an alias, or gone": [], "new, to be added to the list": [] });
});
