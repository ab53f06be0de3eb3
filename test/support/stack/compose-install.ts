import type Docker from "dockerode";
import { execa } from "execa";
import { bundle } from "../../../components/images/bundle.ts";
import { pinnedImages } from "../../../components/images/pinned-images.ts";
import { engineClient } from "../../../engine/client.ts";
import { findEngine } from "../../../engine/find-engine.ts";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { apiProblem } from "../../../shared/api-health.ts";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";
import { until } from "../until.ts";

export interface ComposeOptions {
  /** How its containers' names begin, and its compose project. */
  prefix: string;
  volume: string;
  user: string;
  password: string;
  database: string;
  /** Docker compose's, or podman-compose's. */
  labels?: "com.docker.compose.project" | "io.podman.compose.project";
}

export interface ComposeApi {
  /** Of 127.0.0.1, on which the old API itself is published. */
  port: number;
  /** What nginx has. */
  nginxPort: number;
  sessionSecret: string;
}

/** Budgie as its own compose file sets it up, on the real engine; without compose, which leaves nothing there but names and labels. */
export interface ComposeInstall {
  docker: Docker;
  /** What an operator types: `docker` or `podman`. */
  command: string;
  /** What the old API runs on. */
  image: string;
  name(service: Service): string;
  startDatabase(): Promise<void>;
  /** Waits until the database answers. */
  ready(): Promise<void>;
  startApi(api: ComposeApi): Promise<void>;
  sql(text: string): Promise<string>;
  isThere(service: Service): Promise<boolean>;
  remove(): Promise<void>;
}

type Service = "db" | "backend" | "frontend" | "nginx";
const SERVICES: readonly Service[] = ["nginx", "frontend", "backend", "db"];

export async function composeInstall(options: ComposeOptions): Promise<ComposeInstall> {
  const { prefix, volume, user, password, database, labels: label = "com.docker.compose.project" } = options;
  const engine = await findEngine();
  const docker = engineClient(engine.host);
  const network = `${prefix}_default`;
  // Podman's name of an image of its own.
  const image = `${engine.kind === "podman" ? "localhost/" : ""}${prefix}-old-backend`;
  const project = { [label]: prefix };
  const name = (service: Service) => `${prefix}-${service}`;

  const run = async (service: Service, made: Docker.ContainerCreateOptions) => {
    const container = await docker.createContainer({
      name: name(service),
      Labels: { ...project, "com.docker.compose.service": service },
      ...made,
      HostConfig: { RestartPolicy: { Name: "unless-stopped" }, ...made.HostConfig },
      NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [service] } } },
    });
    await container.start();
  };
  const sql = async (text: string) => {
    const command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", user, "-d", database];
    const { code, stdout, stderr } = await collectFromContainer(docker.getContainer(name("db")), [
      ...command,
      "-c",
      text,
    ]);
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  };

  const ready = async () => {
    await until(
      "the old server answers",
      () => sql("SELECT 1").catch(String),
      said => said === "1",
      {
        withinMs: 120_000,
        everyMs: 300,
      },
    );
  };

  await docker.createNetwork({ Name: network, Labels: project });
  await docker.createVolume({ Name: volume, Labels: project });
  return {
    docker,
    command: engine.kind,
    image,
    name,
    sql,
    startDatabase: async () => {
      await run("db", {
        Image: "postgres:16-alpine",
        Env: [`POSTGRES_USER=${user}`, `POSTGRES_PASSWORD=${password}`, `POSTGRES_DB=${database}`],
        HostConfig: { Binds: [`${volume}:/var/lib/postgresql/data`] },
      });
      await ready();
    },
    ready,
    startApi: async ({ port, nginxPort, sessionSecret }) => {
      const program = { entry: "backend/server.ts", file: "server.cjs", beside: ["backend/Dockerfile"] };
      const { context } = bundle("backend", program, await pinnedImages(engine));
      await execa("docker", ["build", "-t", image, context], {
        cwd: PROJECT_FOLDER,
        env: { DOCKER_BUILDKIT: "0" },
      });
      const published = (inside: number, outside: number) => ({
        PortBindings: { [`${inside}/tcp`]: [{ HostIp: "127.0.0.1", HostPort: String(outside) }] },
      });
      const idle = { Image: "node:24-alpine", Cmd: ["node", "-e", "setInterval(() => {}, 1e6)"] };
      await run("backend", {
        Image: image,
        ExposedPorts: { "3001/tcp": {} },
        Env: [
          "DB_HOST=db",
          `DB_NAME=${database}`,
          `DB_USER=${user}`,
          `DB_PASSWORD=${password}`,
          `SESSION_SECRET=${sessionSecret}`,
          "HOST=0.0.0.0",
          "PORT=3001",
        ],
        HostConfig: published(3001, port),
      });
      await run("frontend", idle);
      await run("nginx", {
        ...idle,
        ExposedPorts: { "80/tcp": {} },
        HostConfig: published(80, nginxPort),
      });
      const problem = () => apiProblem(`http://127.0.0.1:${port}`);
      await until("the old API serves", problem, said => said === null, { withinMs: 120_000, everyMs: 300 });
    },
    isThere: service =>
      docker
        .getContainer(name(service))
        .inspect()
        .then(
          ({ Config: { Labels: labels } }) => label in labels,
          () => false,
        ),
    remove: async () => {
      for (const service of SERVICES)
        await docker
          .getContainer(name(service))
          .remove({ force: true, v: true })
          .catch(() => undefined);
      for (const remove of [
        () => docker.getVolume(volume).remove(),
        () => docker.getNetwork(network).remove(),
        () => docker.getImage(image).remove(),
      ])
        await remove().catch(() => undefined);
    },
  };
}
