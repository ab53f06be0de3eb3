import type { Policies } from "@pulumi/policy";
import {
  bucketHasALifecycle,
  bucketIsEncrypted,
  bucketIsNeverEmptied,
  bucketIsNotShared,
  bucketIsPrivate,
  bucketIsVersioned,
} from "./bucket.ts";
import { containersAreChecked } from "./container-healthcheck.ts";
import { logsAreRotated } from "./container-log.ts";
import { memoryIsLimited } from "./container-memory.ts";
import { capabilitiesAreDropped, noNewPrivileges } from "./container-privileges.ts";
import { containersRestart } from "./container-restart.ts";
import { noSecretsInEnvironment } from "./container-secrets.ts";
import { databaseIsOnAVolume, volumesAreNotReplaced } from "./data-volume.ts";
import { databaseIsNotPublic } from "./database-port.ts";
import { imagesDoNotMove, imagesHaveATag } from "./image-names.ts";
import { managedDatabaseIsKept, managedDatabaseIsNotPublic } from "./managed-database.ts";

/** Everything that is checked, in the order of the documentation. */
export const policies: Policies = [
  databaseIsOnAVolume,
  volumesAreNotReplaced,
  databaseIsNotPublic,
  managedDatabaseIsKept,
  managedDatabaseIsNotPublic,
  noSecretsInEnvironment,
  imagesHaveATag,
  imagesDoNotMove,
  containersRestart,
  logsAreRotated,
  containersAreChecked,
  memoryIsLimited,
  capabilitiesAreDropped,
  noNewPrivileges,
  bucketIsNeverEmptied,
  bucketIsNotShared,
  bucketIsPrivate,
  bucketIsVersioned,
  bucketIsEncrypted,
  bucketHasALifecycle,
];
