import type { Policies } from "@pulumi/policy";
import {
  bucketHasALifecycle,
  bucketIsEncrypted,
  bucketIsNeverEmptied,
  bucketIsNotShared,
  bucketIsPrivate,
  bucketIsVersioned,
} from "./bucket.ts";
import { logsAreRotated } from "./container-log.ts";
import { containersRestart } from "./container-restart.ts";
import { noSecretsInEnvironment } from "./container-secrets.ts";
import { databaseIsOnAVolume, volumesAreNotReplaced } from "./data-volume.ts";
import { databaseIsNotPublic } from "./database-port.ts";
import { imagesDoNotMove, imagesHaveATag } from "./image-names.ts";

/** Everything that is checked, in the order of the documentation. */
export const policies: Policies = [
  databaseIsOnAVolume,
  volumesAreNotReplaced,
  databaseIsNotPublic,
  noSecretsInEnvironment,
  imagesHaveATag,
  imagesDoNotMove,
  containersRestart,
  logsAreRotated,
  bucketIsNeverEmptied,
  bucketIsNotShared,
  bucketIsPrivate,
  bucketIsVersioned,
  bucketIsEncrypted,
  bucketHasALifecycle,
];
