import type { Duplex } from "node:stream";
import type Docker from "dockerode";

/**
 * The input and output of a container that was made and not yet started. The client's own `attach` sends its options as the request's
 * body as well, and Podman takes that for the beginning of the container's input.
 */
export function attach(client: Docker, container: string, { stdin }: { stdin: boolean }): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.modem.dial(
      {
        path: `/containers/${container}/attach?`,
        method: "POST",
        isStream: true,
        hijack: true,
        openStdin: stdin,
        statusCodes: { 200: true, 404: "no such container", 500: "server error" },
        options: { _query: { stream: true, stdin, stdout: true, stderr: true } },
        // As the body: nothing.
        file: Buffer.alloc(0),
      },
      (error: Error | null, stream: unknown) => (error ? reject(error) : resolve(stream as Duplex)),
    );
  });
}
