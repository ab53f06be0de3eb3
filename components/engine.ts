import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { contextHost, thisMachine, usualSockets } from "./engine-address.ts";

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

/** Podman asks its runtimes for their versions first, and on a small machine that builds images meanwhile took over 5 s. */
const ANSWER_MS = 15_000;
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

/** What an engine says about itself; asked for only where it matters, because it takes it longer than to answer at all. */
export interface EngineTraits {
  /** Of this one engine, whatever address leads to it. */
  identity: string;
  /** Whether an ordinary user runs it, with that user's rights. */
  rootless: boolean;
  /** Inputs of containers that it takes and does not carry out, because the kernel does not let it. */
  dropped: DroppedInput[];
}

export type DroppedInput = "memory" | "memorySwap";

interface Info {
  ID?: string;
  Name?: string;
  DockerRootDir?: string;
  /** Podman's. */
  Rootless?: boolean;
  /** Docker has it in here. */
  SecurityOptions?: string[] | null;
  MemoryLimit?: boolean;
  SwapLimit?: boolean;
  CgroupVersion?: string;
}

const asked = new WeakMap<Engine, Promise<EngineTraits>>();

/** Asks once. Throws when an engine that answers does not say who it is. */
export function engineTraits(engine: Engine): Promise<EngineTraits> {
  const traits = asked.get(engine) ?? askTraits(engine);
  asked.set(engine, traits);
  return traits;
}

async function askTraits({ host, kind }: Engine): Promise<EngineTraits> {
  const nameless = (why: string) =>
    new Error(`The container engine at ${host} does not say which one it is${why}.`);
  const info: Info = await withDeadline(engineClient(host).info(), ANSWER_MS).catch(error => {
    throw nameless(` (${reason(error)})`);
  });
  // Docker keeps an id of its own. Podman makes up a new one at each call, but its images and volumes are one folder of one
  // machine: root's and each user's are different engines.
  const folder = info.Name && info.DockerRootDir && `${info.Name}:${info.DockerRootDir}`;
  const identity = kind === "podman" ? folder : info.ID;
  if (!identity) throw nameless("");
  const rootless = info.Rootless || info.SecurityOptions?.includes("name=rootless") || false;
  return { identity, rootless, dropped: droppedInputs(info, rootless) };
}

/** Many small machines start without the kernel's accounting of memory, or of what is swapped out. */
function droppedInputs(info: Info, rootless: boolean): DroppedInput[] {
  const powerless = rootless && info.CgroupVersion === "1";
  if (powerless || info.MemoryLimit === false) return ["memory", "memorySwap"];
  return info.SwapLimit === false ? ["memorySwap"] : [];
}

/** Everything that Podman wants spelt differently, and everything it reads back otherwise than it was written. */
export interface Spelling {
  /** An image's name as the engine finds it locally. */
  image(name: string): string;
  /** The same for an image that was built on the engine itself. */
  builtImage(name: string): string;
  noNewPrivileges: string;
  /** Containers that end by themselves start again, and so do those that ran when the machine went down. */
  restart: "unless-stopped" | "always";
  /** Added to the mount of a folder of the machine. */
  bind: { selinuxRelabel?: "z" };
  /** Inputs that read back changed, and would replace the resource on every `up` (or after every refresh). */
  networkIgnores: string[];
  containerIgnores: string[];
  /** Inputs of a container that it cannot change while the container is there. */
  containerReplaces: string[];
}

const DOCKER: Spelling = {
  image: name => name,
  builtImage: name => name,
  noNewPrivileges: "no-new-privileges:true",
  restart: "unless-stopped",
  bind: {},
  networkIgnores: [],
  containerIgnores: [],
  containerReplaces: [],
};

const PODMAN: Spelling = {
  image: fullImageName,
  builtImage: name => `localhost/${name}`,
  noNewPrivileges: "no-new-privileges",
  // What its podman-restart.service starts after a reboot is this and, in most versions, nothing else.
  restart: "always",
  // Without its label no container may use the folder where SELinux is on, which is where Podman is at home.
  bind: { selinuxRelabel: "z" },
  // Read back as `driver: host-local`. The stack sets none, so nothing of its own is hidden; a change by hand is.
  networkIgnores: ["ipamOptions"],
  // Read back as what is left of the engine's own default capabilities, and as no log options at all. A change of them
  // in this program must still reach the container: see ignored-inputs.ts.
  containerIgnores: ["capabilities", "logOpts"],
  // Podman 4.3 answers 404 to Docker's call for that.
  containerReplaces: ["memory", "memorySwap"],
};

export function spelling(kind: Engine["kind"]): Spelling {
  return kind === "docker" ? DOCKER : PODMAN;
}

/** Podman finds a local image by its full name alone: `node:24-alpine` is `docker.io/library/node:24-alpine`. */
function fullImageName(name: string): string {
  const [first = "", ...rest] = name.split("/");
  if (rest.length === 0) return `docker.io/library/${name}`;
  const hasRegistry = first.includes(".") || first.includes(":") || first === "localhost";
  return hasRegistry ? name : `docker.io/${name}`;
}

async function probe(host: string): Promise<Engine> {
  try {
    const version = await withDeadline(engineClient(host).version(), ANSWER_MS);
    const parts = (version as { Components?: { Name: string }[] }).Components ?? [];
    const podman = parts.some(part => /podman/i.test(part.Name));
    return { host, kind: podman ? "podman" : "docker", reachable: true };
  } catch (error) {
    const kind = /podman/.test(host) ? "podman" : "docker";
    return { host, kind, reachable: false, problem: reason(error) };
  }
}

/** The client has no deadline of its own that covers connecting over ssh. */
function withDeadline<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer in time")), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such socket";
  if (code === "ECONNREFUSED") return "nothing listens there";
  if (code === "EACCES") return "this user may not open it";
  return message;
}
