import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { listen, stop } from "../faults/download-site.ts";

export interface ConnectProxy {
  /** `127.0.0.1:PORT`. */
  address: string;
  /** What it was asked for, as `get.pulumi.com:443`, in this order. */
  asked: string[];
  /** The login that came with each. */
  logins: (string | undefined)[];
  stop(): Promise<void>;
}

/** A proxy that leads every host to one port of this machine. @param refuses answers this to each instead */
export async function startConnectProxy(port: number, refuses?: number): Promise<ConnectProxy> {
  const [asked, logins]: [string[], (string | undefined)[]] = [[], []];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on("connect", (request, client: Socket) => {
    asked.push(request.url ?? "");
    logins.push(request.headers["proxy-authorization"]);
    if (refuses) return client.end(`HTTP/1.1 ${refuses} No\r\nContent-Length: 0\r\n\r\n`);
    const upstream = connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
  });
  const own = await listen(server);
  return {
    address: `127.0.0.1:${own}`,
    asked,
    logins,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await stop(server);
    },
  };
}
