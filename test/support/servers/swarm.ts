import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
import { layCable, removeCable } from "./cable.ts";
import { startDockerd, type TestDockerd } from "./dockerd.ts";

/** A Docker swarm of one machine, which is a test's own. */
export interface TestSwarm extends TestDockerd {
  /** Who leads the published port to the tasks: the engine itself, or in its place a program, on a kernel without IPVS. */
  routedBy: "engine" | "stand-in";
  /**
   * Brings the port to the same one of 127.0.0.1 here as soon as a service has published it: before, something that listens here would be
   * in the stack's way.
   */
  publishService(port: number): void;
  /** What `publishService` brought here. */
  closeService(): void;
}

const STAND_IN = "test/support/servers/ingress-stand-in.mjs";
const LOOK_MS = 200;

export async function startSwarm(): Promise<TestSwarm> {
  // Several test files may run at once. It is found again by a swarm that has ended and is started anew.
  const at = randomBytes(1)[0] as number;
  const network = { name: `budgie-sw${at}`, here: `10.233.${at}.1`, there: `10.233.${at}.2` };
  await layCable(network);
  const dockerd = await startDockerd(network.name);
  const { there } = network;
  await engineClient(dockerd.host).swarmInit({ ListenAddr: `${there}:2377`, AdvertiseAddr: there });
  const routedBy = (await hasIpvs()) ? "engine" : "stand-in";
  let published: number | undefined;
  let standIn: ChildProcess | undefined;
  let relay: Relay | undefined;
  let looking: NodeJS.Timeout | undefined;
  const lead = () => {
    standIn?.kill();
    if (published === undefined || routedBy === "engine") return;
    const args = [STAND_IN, dockerd.host.slice("unix://".length), `${published}`, `${published + 1}`];
    const inside = [`--net=/run/netns/${network.name}`, process.execPath, ...args];
    standIn = spawn("nsenter", inside, { stdio: "inherit" });
  };
  const close = () => {
    clearInterval(looking);
    relay?.close();
    relay?.closeAllConnections();
  };
  return {
    ...dockerd,
    routedBy,
    publishService: port => {
      published = port;
      lead();
      looking = setInterval(async () => {
        const services = await dockerd.docker.listServices().catch(() => []);
        const ports = services.flatMap(service => service.Endpoint?.Ports ?? []);
        if (relay || !ports.some(({ PublishedPort: published }) => published === port)) return;
        relay = relayTo(there, port, routedBy === "engine" ? port : port + 1);
        clearInterval(looking);
      }, LOOK_MS);
    },
    closeService: close,
    start: async () => {
      await layCable(network);
      await dockerd.start();
      lead();
    },
    stop: async () => {
      standIn?.kill();
      close();
      await dockerd.stop();
      await removeCable(network);
    },
  };
}

/** As the engine sees it: it asks the kernel for the module, which is there or is built in. */
async function hasIpvs(): Promise<boolean> {
  await execa("modprobe", ["ip_vs"], { reject: false });
  return access("/proc/net/ip_vs").then(
    () => true,
    () => false,
  );
}

interface Relay {
  close(): void;
  closeAllConnections(): void;
}

function relayTo(host: string, port: number, to: number): Relay {
  const clients = new Set<Socket>();
  const server = createServer(client => {
    clients.add(client);
    const there = connect(to, host);
    client.on("error", () => there.destroy());
    there.on("error", () => client.resetAndDestroy());
    client.on("close", () => {
      clients.delete(client);
      there.destroy();
    });
    there.on("close", () => client.destroy());
    client.pipe(there).pipe(client);
  });
  server.listen(port, "127.0.0.1");
  return {
    close: () => void server.close(),
    closeAllConnections: () => {
      for (const client of clients) client.destroy();
    },
  };
}
