import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket, connect as to } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A socket that leads to a container engine and can vanish as if the engine had. */
export interface EngineSocket {
  host: string;
  /** Cuts every connection and removes the socket. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  /** Vanishes instead of passing on the first such request after a request that contained this text. */
  goAwayAt(request: RegExp, after: string): void;
}

/** @param host the real engine's `unix://…` */
export async function startEngineSocket(host: string): Promise<EngineSocket> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-test-engine-"));
  const path = join(folder, "engine.sock");
  const sockets = new Set<Socket>();
  let trap: { request: RegExp; after: string; armed: boolean } | undefined;

  const server = createServer({ allowHalfOpen: true }, client => {
    const upstream = to({ path: host.slice("unix://".length), allowHalfOpen: true });
    for (const [from, onto] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => onto.destroy());
      from.on("close", () => {
        sockets.delete(from);
        onto.end();
      });
      from.on("end", () => onto.end());
    }
    client.on("data", piece => {
      const text = piece.toString("latin1");
      if (trap?.armed && trap.request.test(text)) {
        trap = undefined;
        void socket.goAway();
        return;
      }
      if (trap && text.includes(trap.after)) trap.armed = true;
      upstream.write(piece);
    });
    upstream.on("data", piece => client.write(piece));
  });
  const socket: EngineSocket = {
    host: `unix://${path}`,
    goAway: async () => {
      const closed = once(server, "close");
      server.close();
      for (const open of sockets) open.destroy();
      await closed;
      await rm(path, { force: true });
    },
    comeBack: async () => {
      trap = undefined;
      if (server.listening) return;
      server.listen(path);
      await once(server, "listening");
    },
    goAwayAt: (request, after) => {
      trap = { request, after, armed: false };
    },
  };
  await socket.comeBack();
  return socket;
}
