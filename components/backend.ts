import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { spelling } from "../engine/differences.ts";
import type { BackendSource } from "../settings.ts";
import { LABEL } from "../shared/labels.ts";
import { builtImageName, containerName } from "../shared/names.ts";
import { capabilities, healthcheck, memoryLimit } from "./containers/inputs.ts";
import { generatedSecret } from "./containers/password.ts";
import { containerBase, containerOptions, type Place } from "./containers/place.ts";
import type { DatabaseConnection } from "./database.ts";
import { bundle } from "./images/bundle.ts";
import { contextHash } from "./images/content-hash.ts";
import type { PinnedImages } from "./images/pinned-images.ts";
import { pulledImage } from "./images/pulled-image.ts";
import { step } from "./steps/step.ts";

type ApiSource = Exclude<BackendSource, { from: "none" }>;

export interface BackendArgs {
  place: Place;
  source: ApiSource;
  database: DatabaseConnection;
  /** What must hold of the database before the API may write to it. */
  after: pulumi.Resource;
  /** Whether it must answer once more although nothing of it has changed. */
  again: boolean;
  /** The key of its sessions. @default generated once and kept in the state */
  sessionSecret?: pulumi.Output<string> | undefined;
  /** Where it is published on the engine's machine. */
  http: { address: string; port: number };
  /** The address of the pages that may call it with cookies. @default its own */
  frontendUrl?: string | undefined;
  /**
   * DANGER: shows both secrets to everyone who may call `docker inspect`. For images that cannot read secrets from files.
   * @default false
   */
  secretsInEnvironment?: boolean;
}

const PORT = 3001;
const PASSWORD_FILE = "/run/secrets/db-password";
const SESSION_SECRET_FILE = "/run/secrets/session-secret";
const DATABASE_ROOTS_FILE = "/run/database-roots.pem";
/** Requests under way may end; the database is asked for more. */
const DESTROY_GRACE_SECONDS = 20;
const MEMORY_MEGABYTES = 512;

/** Budgie's API. */
export class Backend extends pulumi.ComponentResource {
  readonly container: docker.Container;
  /** Where it answers, as typed on the engine's machine. */
  readonly url: string;
  /** What to depend on: when it is there, the API has answered from its published address. */
  readonly ready: pulumi.Resource;

  constructor(name: string, args: BackendArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:Backend", name, {}, opts);
    const sessionSecret = args.sessionSecret ?? generatedSecret(`${name}-session-secret`, { parent: this });
    this.url = urlOf(args.http);
    const image = createImage(name, args, this);
    this.container = createContainer(name, args, { image, sessionSecret }, this);
    this.ready = step(
      `${name}-ready`,
      "backend-ready",
      {
        engine: args.place.engine.host,
        container: this.container.id,
        network: args.place.network.id,
        address: args.http.address,
        port: args.http.port,
        internalPort: PORT,
        secrets: [args.database.password, sessionSecret],
      },
      { parent: this, again: args.again },
    );
    this.registerOutputs({ url: this.url, container: this.container.name });
  }
}

/** `http://localhost` where that reaches it. */
export function urlOf(http: { address: string; port: number }): string {
  const everywhere = http.address === "0.0.0.0" || http.address === "127.0.0.1";
  return `http://${everywhere ? "localhost" : http.address}${http.port === 80 ? "" : `:${http.port}`}`;
}

function createImage(
  name: string,
  { place, source }: BackendArgs,
  parent: pulumi.Resource,
): docker.RemoteImage {
  const { image, builtImage } = spelling(place.engine.kind);
  if (source.from === "image") {
    return pulledImage(`${name}-image`, image(source.image), place.triggers, { parent });
  }
  const { context, dockerfile, target, hash } = buildOf(source, place.pins);
  return new docker.RemoteImage(
    `${name}-image`,
    {
      name: builtImage(builtImageName(place.namePrefix, "backend", hash)),
      // The engine's own builder: the same with and without buildx on the operator's machine.
      build: { context, dockerfile, ...(target ? { target } : {}), useLegacyBuilder: true },
      triggers: { content: hash },
      keepLocally: true,
    },
    { parent },
  );
}

function buildOf(source: Exclude<ApiSource, { from: "image" }>, pins: PinnedImages) {
  if (source.from === "context") return { ...source, hash: contextHash(source.context, source.dockerfile) };
  const program = { entry: "backend/server.ts", file: "server.cjs", beside: ["backend/Dockerfile"] };
  return { ...bundle("backend", program, pins), dockerfile: "Dockerfile", target: undefined };
}

function createContainer(
  name: string,
  args: BackendArgs,
  { image, sessionSecret }: { image: docker.RemoteImage; sessionSecret: pulumi.Output<string> },
  parent: pulumi.Resource,
): docker.Container {
  const { place, database, http } = args;
  const url = urlOf(http);
  const secrets = secretsOf(args, sessionSecret);
  return new docker.Container(
    `${name}-container`,
    {
      ...containerBase(place, "backend", { [LABEL.url]: url }),
      name: containerName(place.namePrefix, "backend"),
      image: image.imageId,
      envs: [
        pulumi.interpolate`DB_HOST=${database.host}`,
        `DB_PORT=${database.port}`,
        `DB_NAME=${database.name}`,
        `DB_USER=${database.user}`,
        `NODE_ENV=${place.stack === "dev" ? "development" : "production"}`,
        "HOST=0.0.0.0",
        `PORT=${PORT}`,
        `FRONTEND_URL=${args.frontendUrl ?? url}`,
        ...tlsVariables(database),
        ...secrets.envs,
      ],
      uploads: [...secrets.uploads, ...rootCertificates(database)],
      ports: [{ internal: PORT, external: http.port, ip: http.address }],
      // The image of backend/ starts as the user `node`.
      capabilities: capabilities(),
      ...memoryLimit(MEMORY_MEGABYTES),
      healthcheck: answersHealth(),
      // Process 1 gets no signal that it does not ask for; Budgie's own API asks for none.
      init: true,
      destroyGraceSeconds: DESTROY_GRACE_SECONDS,
    },
    containerOptions(place, "backend", parent, [database.ready, args.after]),
  );
}

/**
 * By these libpq, and node-postgres where the API says nothing of TLS itself, connect over TLS alone, and to no server but one
 * that shows a certificate for its own name from these authorities.
 */
function tlsVariables({ managed }: DatabaseConnection): string[] {
  if (managed === undefined) return [];
  return [
    "PGSSLMODE=verify-full",
    `PGSSLROOTCERT=${DATABASE_ROOTS_FILE}`,
    `NODE_EXTRA_CA_CERTS=${DATABASE_ROOTS_FILE}`,
  ];
}

function rootCertificates({ managed }: DatabaseConnection) {
  if (managed === undefined) return [];
  return [{ file: DATABASE_ROOTS_FILE, content: managed.rootCertificates, permissions: "0444" }];
}

/**
 * The API asks the database each time. Node makes the request, because every image of Budgie's API has it. The exit code
 * is a failure until the answer is there.
 */
function answersHealth() {
  const url = `http://127.0.0.1:${PORT}/health`;
  const ask = `process.exitCode=1;require("http").get("${url}",a=>process.exit(a.statusCode===200?0:1))`;
  const command = ["node", "-e", ask];
  return healthcheck(command, { everySeconds: 30, timeoutSeconds: 10, startSeconds: 90, retries: 3 });
}

/** As files that the API's unprivileged user can read, or, where the operator chose so, in the environment. */
function secretsOf({ database, secretsInEnvironment }: BackendArgs, sessionSecret: pulumi.Output<string>) {
  if (secretsInEnvironment) {
    return {
      envs: [
        pulumi.interpolate`DB_PASSWORD=${database.password}`,
        pulumi.interpolate`SESSION_SECRET=${sessionSecret}`,
      ],
      uploads: [],
    };
  }
  return {
    envs: [`DB_PASSWORD_FILE=${PASSWORD_FILE}`, `SESSION_SECRET_FILE=${SESSION_SECRET_FILE}`],
    uploads: [
      { file: PASSWORD_FILE, content: database.password, permissions: "0444" },
      { file: SESSION_SECRET_FILE, content: sessionSecret, permissions: "0444" },
    ],
  };
}
