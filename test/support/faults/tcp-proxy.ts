import { createServer, type Socket, connect as to } from "node:net";

export interface TcpProxy {
  port: number;
  /** How many connections were made to it so far. */
  readonly connections: number;
  /** Cuts every connection, present and future, once `bytes` bytes have gone to the server in it. */
  cutAfter(bytes: number): void;
  /** Passes nothing more on, in either direction, once `bytes` bytes have gone to the server. The connections stay open. */
  stallAfter(bytes: number): void;
  /** Passes everything on again, in new connections. */
  heal(): void;
  stop(): Promise<void>;
}

/** A proxy between an agent and a server at `address`. It can cut connections or let them go dead. */
export async function startTcpProxy(address: string, serverPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let [cut, stall, connections] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];

  const server = createServer(client => {
    connections++;
    const upstream = to(serverPort, address);
    let sent = 0;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on("data", chunk => {
      if (sent >= stall) return void client.pause();
      sent += chunk.length;
      upstream.write(chunk);
      if (sent >= cut) end();
    });
    upstream.on("data", chunk => {
      if (sent < stall) client.write(chunk);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, address, resolve);
  });
  const listening = server.address();
  return {
    port: listening !== null && typeof listening === "object" ? listening.port : 0,
    get connections() {
      return connections;
    },
    cutAfter: bytes => {
      cut = bytes;
    },
    stallAfter: bytes => {
      stall = bytes;
    },
    heal: () => {
      [cut, stall] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
