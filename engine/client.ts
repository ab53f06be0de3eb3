import { readFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { withDeadline } from "../shared/with-deadline.ts";
import { connectionsOverSsh } from "./ssh-connections.ts";

/** Podman first asks its runtimes for their versions. On a small machine that was building images this took over 5 s. */
const ANSWER_MS = 15_000;

/** A client for the engine's API. Throws for an address that is none. */
export function engineClient(host: string, environment: NodeJS.ProcessEnv = process.env): Docker {
  if (host.startsWith("unix://")) return new Docker({ socketPath: host.slice("unix://".length) });
  const { protocol, hostname, port } = new URL(host);
  // Not the client's own ssh, which takes any host key for the right one.
  if (protocol === "ssh:") {
    const overSsh = { protocol: "http" as const, host: "ssh", agent: connectionsOverSsh(host) };
    return new Docker(overSsh);
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

/**
 * What the engine answers, or an error when that takes too long. The client's own deadlines do not cover connecting over
 * ssh.
 */
export function inTime<T>(asked: Promise<T>): Promise<T> {
  return withDeadline(asked, ANSWER_MS);
}

/** Why the engine did not answer, in a few words. */
export function whyNoAnswer(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such socket";
  if (code === "ECONNREFUSED") return "nothing listens there";
  if (code === "EACCES") return "this user may not open it";
  return message;
}
