import type { Engine } from "./find-engine.ts";

/** Everything that Podman wants spelt differently, and everything that it reads back changed. */
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
  // Read back as `driver: host-local`. The stack sets none, so this hides changes by hand alone.
  networkIgnores: ["ipamOptions"],
  // The first is read back as what is left of the engine's own default capabilities, the second as none. A change of them
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
