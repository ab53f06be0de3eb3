import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";

/** A container engine, as the stack, the toolchain and the operator's commands all see it. */
export interface Engine {
  /** `unix:///…`, `tcp://…` or `ssh://…`. */
  host: string;
  kind: "docker" | "podman";
  /** Whether it answered. A preview works without. */
  reachable: boolean;
  /** Why it did not answer, when it did not. */
  problem?: string;
}

/** What `findEngine` looks at; tests give their own. */
export interface Surroundings {
  environment: NodeJS.ProcessEnv;
  home: string;
  platform: NodeJS.Platform;
}

const LOCAL_ANSWER_MS = 2_000;
const REMOTE_ANSWER_MS = 10_000;
const USUAL_SOCKET = "unix:///var/run/docker.sock";

/**
 * Finds the container engine: the setting, else DOCKER_HOST, else the current docker context, else the first of the usual
 * sockets that answers. The first three are taken at their word even when nothing answers there: another engine would have
 * other volumes. Never throws for an engine that is down; throws for a docker context that does not exist.
 */
export async function findEngine(setting?: string, surroundings = thisMachine()): Promise<Engine> {
  const named = setting || surroundings.environment.DOCKER_HOST || contextHost(surroundings);
  if (named) return probe(named);
  const candidates = usualSockets(surroundings).filter(path => existsSync(path));
  const engines: Engine[] = [];
  for (const path of candidates) {
    const engine = await probe(`unix://${path}`);
    if (engine.reachable) return engine;
    engines.push(engine);
  }
  return engines[0] ?? (await probe(USUAL_SOCKET));
}

/** What to tell an operator whose engine does not answer. */
export function unreachable(engine: Engine): string {
  return [
    `No container engine answers at ${engine.host}${engine.problem ? ` (${engine.problem})` : ""}.`,
    "Start it (`systemctl start docker`, `podman machine start`), or name another one:",
    "  pulumi config set budgie:engineHost unix:///var/run/docker.sock",
  ].join("\n");
}

/** Whether the engine's containers run on this machine, or in its virtual machine: paths and ports are then this machine's. */
export function isLocal(host: string): boolean {
  return host.startsWith("unix://");
}

/** A client for the engine's API. Throws for an address that is none. */
export function engineClient(host: string, environment: NodeJS.ProcessEnv = process.env): Docker {
  if (host.startsWith("unix://")) return new Docker({ socketPath: host.slice("unix://".length) });
  const { protocol, hostname, port, username } = new URL(host);
  if (protocol === "ssh:") {
    return new Docker({
      protocol: "ssh",
      host: hostname,
      port: port || 22,
      ...(username ? { username: decodeURIComponent(username) } : {}),
      sshOptions: environment.SSH_AUTH_SOCK ? { agent: environment.SSH_AUTH_SOCK } : {},
    });
  }
  if (protocol !== "tcp:") throw new Error(`${host} is no container engine's address`);
  const certificates = environment.DOCKER_CERT_PATH;
  if (!certificates) return new Docker({ protocol: "http", host: hostname, port: port || 2375 });
  const read = (name: string) => readFileSync(join(certificates, name));
  return new Docker({
    protocol: "https",
    host: hostname,
    port: port || 2376,
    ca: read("ca.pem"),
    cert: read("cert.pem"),
    key: read("key.pem"),
  });
}

/** Everything that Podman wants spelt differently, and everything it reads back otherwise than it was written. */
export interface Spelling {
  /** An image's name as the engine finds it locally. */
  image(name: string): string;
  /** The same for an image that was built on the engine itself. */
  builtImage(name: string): string;
  noNewPrivileges: string;
  /** Inputs that read back changed, and would replace the resource on every `up` (or after every refresh). */
  networkIgnores: string[];
  containerIgnores: string[];
}

export function spelling(kind: Engine["kind"]): Spelling {
  return kind === "docker"
    ? {
        image: name => name,
        builtImage: name => name,
        noNewPrivileges: "no-new-privileges:true",
        networkIgnores: [],
        containerIgnores: [],
      }
    : {
        image: fullImageName,
        builtImage: name => `localhost/${name}`,
        noNewPrivileges: "no-new-privileges",
        networkIgnores: ["ipamOptions", "ipamConfigs"],
        containerIgnores: ["capabilities", "logDriver", "logOpts", "ulimits"],
      };
}

/** Podman finds a local image by its full name alone: `node:24-alpine` is `docker.io/library/node:24-alpine`. */
function fullImageName(name: string): string {
  const [first = "", ...rest] = name.split("/");
  if (rest.length === 0) return `docker.io/library/${name}`;
  const hasRegistry = first.includes(".") || first.includes(":") || first === "localhost";
  return hasRegistry ? name : `docker.io/${name}`;
}

async function probe(host: string): Promise<Engine> {
  const abort = AbortSignal.timeout(isLocal(host) ? LOCAL_ANSWER_MS : REMOTE_ANSWER_MS);
  try {
    const version = await withDeadline(engineClient(host).version(), abort);
    const parts = (version as { Components?: { Name: string }[] }).Components ?? [];
    const podman = parts.some(part => /podman/i.test(part.Name));
    return { host, kind: podman ? "podman" : "docker", reachable: true };
  } catch (error) {
    const kind = /podman/.test(host) ? "podman" : "docker";
    return { host, kind, reachable: false, problem: reason(error) };
  }
}

/** The client has no deadline of its own that covers connecting over ssh. */
function withDeadline<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("no answer in time")));
    work.then(resolve, reject);
  });
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such socket";
  if (code === "ECONNREFUSED") return "nothing listens there";
  if (code === "EACCES") return "this user may not open it";
  return message;
}

/** The current docker context's address; undefined for the default context. */
function contextHost({ environment, home }: Surroundings): string | undefined {
  const folder = environment.DOCKER_CONFIG || join(home, ".docker");
  const name = environment.DOCKER_CONTEXT || currentContext(join(folder, "config.json"));
  if (!name || name === "default") return undefined;
  const id = createHash("sha256").update(name).digest("hex");
  const file = join(folder, "contexts", "meta", id, "meta.json");
  const host = existsSync(file)
    ? (JSON.parse(readFileSync(file, "utf8")) as { Endpoints?: { docker?: { Host?: string } } }).Endpoints
        ?.docker?.Host
    : undefined;
  if (!host) {
    throw new Error(
      `The docker context ${JSON.stringify(name)} is the current one, but it names no engine (${file}). ` +
        "Choose another: docker context use default",
    );
  }
  return host;
}

function currentContext(file: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { currentContext?: string }).currentContext;
  } catch {
    return undefined; // No file, or one that docker itself would not read either: no context was chosen.
  }
}

/** Most usual first. */
function usualSockets({ environment, home, platform }: Surroundings): string[] {
  const runtime = environment.XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.() ?? 0}`;
  const machine = join(home, ".local/share/containers/podman/machine");
  const everywhere = [
    "/var/run/docker.sock",
    join(runtime, "docker.sock"),
    join(home, ".docker/run/docker.sock"),
    join(home, ".docker/desktop/docker.sock"),
    join(home, ".colima/default/docker.sock"),
    join(home, ".rd/docker.sock"),
  ];
  const podman =
    platform === "darwin"
      ? [
          join(machine, "podman.sock"),
          join(tmpdir(), "podman/podman-machine-default-api.sock"),
          join(machine, "podman-machine-default/podman.sock"),
          join(machine, "qemu/podman.sock"),
        ]
      : [join(runtime, "podman/podman.sock"), "/run/podman/podman.sock"];
  return [...everywhere, ...podman];
}

function thisMachine(): Surroundings {
  return { environment: process.env, home: homedir(), platform: process.platform };
}
