import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/** What `findEngine` looks at; tests give their own. */
export interface Surroundings {
  environment: NodeJS.ProcessEnv;
  home: string;
  platform: NodeJS.Platform;
}

/** The current docker context's address; undefined for the default context. */
export function contextHost({ environment, home }: Surroundings): string | undefined {
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

/** The sockets at which engines are usually found, most usual first. */
export function usualSockets({ environment, home, platform }: Surroundings): string[] {
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

export function thisMachine(): Surroundings {
  return { environment: process.env, home: homedir(), platform: process.platform };
}

/** Whether the engine's containers run on this machine, or in its virtual machine: paths and ports are then this machine's. */
export function isLocal(host: string): boolean {
  return host.startsWith("unix://");
}
