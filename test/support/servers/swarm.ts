import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
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

/** One cable for each swarm, because several test files may run at once. */
export async function startSwarm(): Promise<TestSwarm> {
  const dockerd = await startDockerd();
  const pid = String(await dockerd.pid());
  const net = randomBytes(1)[0] as number;
  const [here, there] = [`10.233.${net}.1`, `10.233.${net}.2`];
  const cable = `budgie-sw${net}`;
  await ip("link", "del", cable).catch(() => undefined);
  await ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", pid);
  await ip("addr", "add", `${here}/24`, "dev", cable);
  await ip("link", "set", cable, "up");
  const inside = (...args: string[]) => execa("nsenter", [`--net=/proc/${pid}/ns/net`, ...args]);
  await inside("ip", "addr", "add", `${there}/24`, "dev", "eth0");
  await inside("ip", "link", "set", "eth0", "up");
  await inside("ip", "route", "add", "default", "via", here);
  await engineClient(dockerd.host).swarmInit({ ListenAddr: `${there}:2377`, AdvertiseAddr: there });
  const routedBy = (await hasIpvs()) ? "engine" : "stand-in";
  const ending: (() => void)[] = [];
  let relay: Relay | undefined;
  let closed = false;
  return {
    ...dockerd,
    routedBy,
    publishService: port => {
      const leadsTo = routedBy === "engine" ? port : port + 1;
      if (routedBy === "stand-in") {
        const args = [STAND_IN, socketOf(dockerd.host), `${port}`, `${leadsTo}`];
        const child = spawn("nsenter", [`--net=/proc/${pid}/ns/net`, process.execPath, ...args], {
          stdio: "inherit",
        });
        ending.push(() => child.kill());
      }
      const looking = setInterval(async () => {
        const services = await dockerd.docker.listServices().catch(() => []);
        const ports = services.flatMap(service => service.Endpoint?.Ports ?? []);
        if (closed || relay || !ports.some(({ PublishedPort: published }) => published === port)) return;
        relay = relayTo(there, port, leadsTo);
        clearInterval(looking);
      }, LOOK_MS);
      ending.push(() => clearInterval(looking));
    },
    closeService: () => {
      closed = true;
      relay?.close();
      relay?.closeAllConnections();
    },
    stop: async () => {
      for (const end of ending) end();
      relay?.close();
      relay?.closeAllConnections();
      await dockerd.stop();
      await ip("link", "del", cable).catch(() => undefined);
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

function socketOf(host: string): string {
  return host.slice("unix://".length);
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

async function ip(...args: string[]): Promise<void> {
  await execa("ip", args);
}
