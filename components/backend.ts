import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { spelling } from "../engine/differences.ts";
import type { BackendSource } from "../settings.ts";
import { LABEL } from "../shared/labels.ts";
import { builtImageName, containerName } from "../shared/names.ts";
import { createBackendService, type MadeService } from "./containers/backend-service.ts";
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
  /** How many there are to be, where it is more than one, and on which node of the swarm. @default one container */
  several?: { backends: number; node: string } | undefined;
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
/** Under SECRETS_FOLDER, which is where a swarm puts them too. */
const PASSWORD_FILE = "db-password";
const SESSION_SECRET_FILE = "session-secret";
const SECRETS_FOLDER = "/run/secrets";
const DATABASE_ROOTS_FILE = "/run/database-roots.pem";
/** Requests under way may end; the database is asked for more. */
const DESTROY_GRACE_SECONDS = 20;
const MEMORY_MEGABYTES = 512;

/** Budgie's API: a container, or as a service of a swarm several. */
export class Backend extends pulumi.ComponentResource {
  /** Of the container or the service. */
  readonly name: pulumi.Output<string>;
  /** Where it answers, as typed on the engine's machine. */
  readonly url: string;
  /** What to depend on: when it is there, the API has answered from its published address. */
  readonly ready: pulumi.Resource;

  constructor(name: string, args: BackendArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:Backend", name, {}, opts);
    const sessionSecret = args.sessionSecret ?? generatedSecret(`${name}-session-secret`, { parent: this });
    this.url = urlOf(args.http);
    const image = createImage(name, args, this);
    const made = { image, sessionSecret };
    if (isSeveral(args)) {
      const several = createSeveral(name, args, made, this);
      this.name = several.service.name;
      this.ready = severalReady(name, args, { ...several, sessionSecret }, this);
    } else {
      const container = createContainer(name, args, made, this);
      this.name = container.name;
      this.ready = containerReady(name, args, { container, sessionSecret }, this);
    }
    this.registerOutputs({ url: this.url, container: this.name });
  }
}

function containerReady(
  name: string,
  args: BackendArgs,
  { container, sessionSecret }: { container: docker.Container; sessionSecret: pulumi.Output<string> },
  parent: pulumi.Resource,
): pulumi.Resource {
  return step(
    `${name}-ready`,
    "backend-ready",
    {
      engine: args.place.engine.host,
      container: container.id,
      network: args.place.network.id,
      address: args.http.address,
      port: args.http.port,
      internalPort: PORT,
      secrets: [args.database.password, sessionSecret],
    },
    { parent, again: args.again },
  );
}

type SeveralArgs = BackendArgs & { several: { backends: number; node: string } };

function isSeveral(args: BackendArgs): args is SeveralArgs {
  return args.several !== undefined;
}

/** Under the name of the step for one: whoever waits for the API waits for the same resource. */
function severalReady(
  name: string,
  args: SeveralArgs,
  { version, seconds, sessionSecret }: MadeService & { sessionSecret: pulumi.Output<string> },
  parent: pulumi.Resource,
): pulumi.Resource {
  return step(
    `${name}-ready`,
    "backends-ready",
    {
      engine: args.place.engine.host,
      namePrefix: args.place.namePrefix,
      backends: args.several.backends,
      port: args.http.port,
      version,
      seconds,
      inEnvironment: args.secretsInEnvironment ?? false,
      secrets: [args.database.password, sessionSecret],
    },
    { parent, again: args.again },
  );
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
  const secrets = secretsOf(args, sessionSecret);
  return new docker.Container(
    `${name}-container`,
    {
      ...containerBase(place, "backend", { [LABEL.url]: urlOf(http) }),
      name: containerName(place.namePrefix, "backend"),
      image: image.imageId,
      envs: Object.entries({ ...environmentOf(args), ...secrets.environment }).map(
        ([variable, value]) => pulumi.interpolate`${variable}=${value}`,
      ),
      uploads: [
        ...secrets.files.map(({ file, content }) => ({
          file: `${SECRETS_FOLDER}/${file}`,
          content,
          permissions: "0444",
        })),
        ...rootCertificates(database),
      ],
      ports: [{ internal: PORT, external: http.port, ip: http.address }],
      // The image of backend/ starts as the user `node`.
      capabilities: capabilities(),
      ...memoryLimit(MEMORY_MEGABYTES),
      healthcheck: healthcheck(answersHealth(), {
        everySeconds: 30,
        timeoutSeconds: 10,
        startSeconds: 90,
        retries: 3,
      }),
      // Process 1 gets no signal that it does not ask for; Budgie's own API asks for none.
      init: true,
      destroyGraceSeconds: DESTROY_GRACE_SECONDS,
    },
    containerOptions(place, "backend", parent, [database.ready, args.after]),
  );
}

function createSeveral(
  name: string,
  args: SeveralArgs,
  { image, sessionSecret }: { image: docker.RemoteImage; sessionSecret: pulumi.Output<string> },
  parent: pulumi.Resource,
): MadeService {
  const { place, database, http, several } = args;
  const secrets = secretsOf(args, sessionSecret);
  return createBackendService(
    name,
    {
      ...{ place, several },
      image: image.imageId,
      environment: { ...environmentOf(args), ...secrets.environment },
      secretFiles: secrets.files,
      nameKey: sessionSecret,
      health: answersHealth(),
      port: { internal: PORT, published: http.port },
      url: urlOf(http),
      memoryMegabytes: MEMORY_MEGABYTES,
      database: database.server,
    },
    parent,
    [place.joined, database.ready, args.after],
  );
}

/** In the order in which containers that exist have it: another order would replace them. */
function environmentOf({ place, database, http, frontendUrl }: BackendArgs) {
  return {
    DB_HOST: database.host,
    DB_PORT: String(database.port),
    DB_NAME: database.name,
    DB_USER: database.user,
    NODE_ENV: place.stack === "dev" ? "development" : "production",
    HOST: "0.0.0.0",
    PORT: String(PORT),
    FRONTEND_URL: frontendUrl ?? urlOf(http),
    ...tlsVariables(database),
  };
}

/**
 * By these libpq, and node-postgres where the API says nothing of TLS itself, connect over TLS alone, and to no server but one
 * that shows a certificate for its own name from these authorities.
 */
function tlsVariables({ managed }: DatabaseConnection) {
  if (managed === undefined) return {};
  return {
    PGSSLMODE: "verify-full",
    PGSSLROOTCERT: DATABASE_ROOTS_FILE,
    NODE_EXTRA_CA_CERTS: DATABASE_ROOTS_FILE,
  };
}

function rootCertificates({ managed }: DatabaseConnection) {
  if (managed === undefined) return [];
  return [{ file: DATABASE_ROOTS_FILE, content: managed.rootCertificates, permissions: "0444" }];
}

/**
 * The API asks the database each time. Node makes the request, because every image of Budgie's API has it. The exit code
 * is a failure until the answer is there.
 */
function answersHealth(): string[] {
  const url = `http://127.0.0.1:${PORT}/health`;
  const ask = `process.exitCode=1;require("http").get("${url}",a=>process.exit(a.statusCode===200?0:1))`;
  return ["node", "-e", ask];
}

/** As files that the API's unprivileged user can read, or, where the operator chose so, in the environment. */
function secretsOf({ database, secretsInEnvironment }: BackendArgs, sessionSecret: pulumi.Output<string>) {
  if (secretsInEnvironment) {
    return { environment: { DB_PASSWORD: database.password, SESSION_SECRET: sessionSecret }, files: [] };
  }
  return {
    environment: {
      DB_PASSWORD_FILE: `${SECRETS_FOLDER}/${PASSWORD_FILE}`,
      SESSION_SECRET_FILE: `${SECRETS_FOLDER}/${SESSION_SECRET_FILE}`,
    },
    files: [
      { file: PASSWORD_FILE, content: database.password },
      { file: SESSION_SECRET_FILE, content: sessionSecret },
    ],
  };
}
