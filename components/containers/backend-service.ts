// Several backends, as a service of the Docker swarm that the engine manages. One backend is a container: components/backend.ts.

import { createHmac } from "node:crypto";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { poolOfEach } from "../../shared/connections.ts";
import { LABEL } from "../../shared/labels.ts";
import { backendsNetworkName, containerName } from "../../shared/names.ts";
import { step } from "../steps/step.ts";
import { healthcheck } from "./inputs.ts";
import { kept, labelsOf, labelsOfStack, type Place } from "./place.ts";

export interface BackendServiceArgs {
  place: Place;
  /** How many there are to be, and the only node of the swarm on which they may run: it has the image. */
  several: { backends: number; node: string };
  /** Its id: a swarm asks no registry for that. */
  image: pulumi.Output<string>;
  environment: Record<string, pulumi.Input<string>>;
  /** What each finds under `/run/secrets`. */
  secretFiles: readonly { file: string; content: pulumi.Output<string> }[];
  /** Makes the names of the secrets say nothing of what is in them. */
  nameKey: pulumi.Output<string>;
  /** What says that it serves, as a program and its arguments. */
  health: readonly string[];
  /** Where each listens, and where the swarm publishes all of them. */
  port: { internal: number; published: number };
  url: string;
  memoryMegabytes: number;
  /** The database's container, by its id. */
  database: pulumi.Output<string>;
}

export interface MadeService {
  service: docker.Service;
  /** Another one where the swarm has backends to replace. */
  version: pulumi.Output<unknown>;
  /** At most, until all of them are replaced. */
  seconds: number;
}

/**
 * How long one that is told to end still takes requests, whose answers ask the client to connect anew. The swarm sends it no new connections
 * by then; the open ones end with their next answer, or after five seconds with nothing to say.
 */
const DRAIN_SECONDS = 8;
/** After that requests under way may end; see CLOSE_WITHIN_MS in backend/server.ts. */
const STOP_GRACE_SECONDS = 30;
/**
 * INVARIANT: at most one more than declared has connections to the database: the next is replaced when the one before must have ended.
 */
const PAUSE_SECONDS = DRAIN_SECONDS + 12;
/** What one may take to start on a slow machine; a migration counts. */
const START_SECONDS = 90;

export function createBackendService(
  name: string,
  args: BackendServiceArgs,
  parent: pulumi.Resource,
  dependsOn: pulumi.Resource[],
): MadeService {
  const { place, several } = args;
  const network = createNetwork(name, place, parent);
  const joined = step(
    `${name}s-network`,
    "backends-network",
    { engine: place.engine.host, name: network.name, network: network.id, container: args.database },
    { parent, undone: "leave-backends-network" },
  );
  const secrets = args.secretFiles.map(({ file, content }) => {
    const known = pulumi.all([args.nameKey, content]).apply(([key, text]) => {
      const digest = createHmac("sha256", key).update(`${file}\n${text}`).digest("hex");
      return `${containerName(place.namePrefix, "backend")}-${file}-${digest.slice(0, 12)}`;
    });
    const data = content.apply(text => Buffer.from(text).toString("base64"));
    // A secret never changes: another content is another secret, and the service is moved to it one backend after the other.
    const secret = new docker.Secret(
      `${name}-${file}`,
      { name: pulumi.unsecret(known), data, labels: labelsOfStack(place) },
      { parent },
    );
    return { secretId: secret.id, secretName: secret.name, fileName: file };
  });
  const taskSpec = describeTask(args, network, secrets);
  const service = new docker.Service(
    `${name}-service`,
    {
      name: containerName(place.namePrefix, "backend"),
      labels: [
        ...labelsOfStack(place),
        ...labelsOf({
          [LABEL.role]: "backend",
          [LABEL.url]: args.url,
          [LABEL.backends]: String(several.backends),
        }),
      ],
      mode: { replicated: { replicas: several.backends } },
      taskSpec,
      endpointSpec: {
        mode: "vip",
        ports: [
          {
            protocol: "tcp",
            targetPort: args.port.internal,
            publishedPort: args.port.published,
            publishMode: "ingress",
          },
        ],
      },
      updateConfig: oneAfterTheOther("rollback"),
      rollbackConfig: oneAfterTheOther("pause"),
    },
    // Another network is another service, and two cannot have one name.
    { parent, dependsOn: [joined, ...dependsOn], deleteBeforeReplace: true },
  );
  const version = pulumi.all([service.id, taskSpec]).apply(([id, spec]) => ({ id, spec }));
  const seconds = 60 + several.backends * (START_SECONDS + PAUSE_SECONDS);
  return { service, version, seconds };
}

/** The database's container is in no service, so the network must take others in. */
function createNetwork(name: string, place: Place, parent: pulumi.Resource): docker.Network {
  return new docker.Network(
    `${name}s-overlay`,
    {
      name: backendsNetworkName(place.namePrefix),
      driver: "overlay",
      attachable: true,
      labels: labelsOfStack(place),
    },
    { parent },
  );
}

/** The new one first; and where it does not come up, everything as it was. */
function oneAfterTheOther(failureAction: "rollback" | "pause") {
  return {
    parallelism: 1,
    order: "start-first",
    delay: `${PAUSE_SECONDS}s`,
    monitor: "10s",
    failureAction,
    maxFailureRatio: "0.0",
  };
}

function describeTask(
  args: BackendServiceArgs,
  network: docker.Network,
  secrets: docker.types.input.ServiceTaskSpecContainerSpecSecret[],
): docker.types.input.ServiceTaskSpec {
  const { place, several } = args;
  const { logDriver, logOpts } = kept(place.engine);
  return {
    containerSpec: {
      image: args.image,
      // No role: the service is the backend, and each of its containers is a part of it.
      labels: labelsOfStack(place),
      env: {
        ...args.environment,
        DB_POOL_SIZE: String(poolOfEach(several.backends)),
        DRAIN_SECONDS: String(DRAIN_SECONDS),
      },
      secrets,
      capDrops: ["ALL"],
      init: true,
      stopGracePeriod: `${STOP_GRACE_SECONDS}s`,
      healthcheck: describeHealth(args.health),
    },
    resources: { limits: { memoryBytes: args.memoryMegabytes * 1024 ** 2 } },
    restartPolicy: { condition: "any", delay: "5s", window: "0s" },
    placement: { constraints: [`node.id==${several.node}`] },
    networksAdvanceds: [{ id: network.id }],
    logDriver: { name: logDriver, options: logOpts },
  };
}

/**
 * A swarm ends a backend that fails it, and one that starts is sent no request before. So it is asked often, and it may fail for two
 * minutes: while the database is replaced, or away, ending the backends would help nobody.
 */
function describeHealth(command: readonly string[]) {
  const { startInterval: _, ...health } = healthcheck(command, {
    everySeconds: 5,
    timeoutSeconds: 10,
    startSeconds: START_SECONDS,
    retries: 24,
  });
  return health;
}
