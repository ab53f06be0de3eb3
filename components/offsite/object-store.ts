import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Credentials, ObjectStoreSettings } from "../../settings/offsite.ts";
import { keyPrefix } from "../../shared/key-prefix.ts";
import { containerName, objectStoreVolumeName } from "../../shared/names.ts";
import { capabilities, healthcheck, memoryLimit } from "../containers/inputs.ts";
import { generatedSecret } from "../containers/password.ts";
import {
  containerBase,
  containerOptions,
  imageName,
  labelsOfStack,
  type Place,
} from "../containers/place.ts";
import { pulledImage } from "../images/pulled-image.ts";
import { step } from "../steps/step.ts";
import type { OffsiteStore } from "./store.ts";

export interface ObjectStoreArgs {
  place: Place;
  store: Extract<ObjectStoreSettings, { kind: "local" }>;
}

const PORT = 9000;
const DATA = "/data";
const ROOT_FILE = "/run/secrets/object-store-root.env";
/** Requests under way may end. */
const DESTROY_GRACE_SECONDS = 20;
const MEMORY_MEGABYTES = 1024;
/** Asks whether objects can be written, not only whether the server is there. Some images have curl, others wget. */
const HEALTHCHECK = `#!/bin/sh
url=http://127.0.0.1:${PORT}/minio/health/cluster
if command -v curl >/dev/null; then exec curl -fsS -o /dev/null "$url"; fi
exec wget -q -O /dev/null "$url"
`;
const HEALTHCHECK_FILE = "/usr/local/bin/budgie-healthy";

/** An S3-compatible server (MinIO) in a container, reached from the stack's own network alone, on a volume that outlives it. */
export class ObjectStore extends pulumi.ComponentResource {
  readonly offsite: OffsiteStore;

  constructor(name: string, args: ObjectStoreArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:ObjectStore", name, {}, opts);
    const { place, store } = args;
    const keys = (user: string): Credentials => ({
      accessKeyId: pulumi.output(`budgie-${user}`),
      secretAccessKey: generatedSecret(`${name}-${user}-secret`, { parent: this }),
    });
    const [root, writer, reader] = [keys("root"), keys("writer"), keys("reader")];
    const container = createContainer(name, args, root, this);
    this.offsite = {
      kind: "local",
      bucket: store.bucket,
      prefix: keyPrefix(place.stack),
      region: store.region,
      endpoint: pulumi.interpolate`http://${container.name}:${PORT}`,
      pathStyle: true,
      writer,
      reader,
      ready: [container],
      setUpFrom: agent =>
        setUpBucket(name, { ...args, container, agent, keys: { root, writer, reader }, parent: this }),
    };
    this.registerOutputs({ container: container.name });
  }
}

/** DANGER: these are the copies. `retainOnDelete` keeps them through `pulumi destroy`, as it keeps the database. */
function createVolume(name: string, place: Place, parent: pulumi.Resource): docker.Volume {
  return new docker.Volume(
    `${name}-volume`,
    {
      name: objectStoreVolumeName(place.namePrefix),
      labels: labelsOfStack(place),
    },
    { parent, retainOnDelete: true, ignoreChanges: ["labels", "driver", "driverOpts"] },
  );
}

function createContainer(
  name: string,
  { place, store }: ObjectStoreArgs,
  root: Credentials,
  parent: pulumi.Resource,
): docker.Container {
  const image = pulledImage(`${name}-image`, imageName(place, store.image), place.triggers, { parent });
  return new docker.Container(
    `${name}-container`,
    {
      ...containerBase(place, "object-store"),
      name: containerName(place.namePrefix, "object-store"),
      image: image.imageId,
      command: ["minio", "server", DATA],
      envs: [`MINIO_CONFIG_ENV_FILE=${ROOT_FILE}`, "MINIO_BROWSER=off", "MINIO_UPDATE=off"],
      uploads: [
        { file: ROOT_FILE, content: rootFile(root), permissions: "0400" },
        { file: HEALTHCHECK_FILE, content: HEALTHCHECK, permissions: "0555" },
      ],
      volumes: [{ volumeName: createVolume(name, place, parent).name, containerPath: DATA }],
      // The image runs as root, which without a capability is a user like any other that owns its files.
      capabilities: capabilities(),
      ...memoryLimit(MEMORY_MEGABYTES),
      healthcheck: healthcheck([HEALTHCHECK_FILE], {
        everySeconds: 30,
        timeoutSeconds: 10,
        startSeconds: 60,
        retries: 3,
      }),
      destroyGraceSeconds: DESTROY_GRACE_SECONDS,
      // Anonymous volumes are not ours to remove with the container that holds the data.
      removeVolumes: false,
    },
    containerOptions(place, "object-store", parent),
  );
}

/** What MinIO reads its environment from, so that no secret is in one that `inspect` shows. */
function rootFile({ accessKeyId, secretAccessKey }: Credentials): pulumi.Output<string> {
  return pulumi.interpolate`MINIO_ROOT_USER=${accessKeyId}\nMINIO_ROOT_PASSWORD=${secretAccessKey}\n`;
}

/** From the agent's container, because this program is not on the stack's network. */
function setUpBucket(
  name: string,
  {
    store,
    place,
    container,
    agent,
    keys,
    parent,
  }: ObjectStoreArgs & {
    container: docker.Container;
    agent: docker.Container;
    keys: Record<"root" | "writer" | "reader", Credentials>;
    parent: pulumi.Resource;
  },
): pulumi.Resource {
  const { keepDays, noncurrentDays, lockDays } = store.lifecycle;
  return step(
    `${name}-bucket`,
    "local-store-bucket",
    {
      engine: place.engine.host,
      container: agent.id,
      // Another container may be another server: it is looked after again.
      store: container.id,
      wanted: {
        endpoint: pulumi.interpolate`http://${container.name}:${PORT}`,
        region: store.region,
        bucket: store.bucket,
        prefix: keyPrefix(place.stack),
        keepDays,
        noncurrentDays,
        lockDays,
        ...keys,
      },
    },
    { parent },
  );
}
