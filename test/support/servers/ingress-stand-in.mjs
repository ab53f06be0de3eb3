// node ingress-stand-in.mjs SOCKET PUBLISHED LISTEN: leads connections on LISTEN to the tasks of the swarm's service that has published
// PUBLISHED, one after the other, as the engine does with the kernel's IPVS. For kernels that have none: the engine then makes the service
// and leads its port nowhere. It runs in the engine's network, from which every container can be reached.
import http from "node:http";
import net from "node:net";

const [socketPath, published, listen] = process.argv.slice(2);
const LOOK_MS = 100;

const ask = path =>
  new Promise((resolve, reject) => {
    const asked = http.get({ socketPath, path }, answer => {
      let text = "";
      answer.setEncoding("utf8").on("data", piece => (text += piece));
      answer.on("end", () => resolve(JSON.parse(text)));
    });
    asked.on("error", reject);
  });

/** Where tasks that are healthy and wanted listen. A task that is to end gets no new connection, as with the engine itself. */
async function look() {
  const services = await ask("/services");
  const port = service => service.Endpoint?.Ports?.find(known => known.PublishedPort === Number(published));
  const service = services.find(port);
  if (!service) return [];
  const filters = encodeURIComponent(JSON.stringify({ service: [service.ID], "desired-state": ["running"] }));
  const tasks = (await ask(`/tasks?filters=${filters}`)).filter(task => task.Status.State === "running");
  const { Containers: members } = await ask("/networks/docker_gwbridge");
  const addresses = await Promise.all(
    tasks.map(async task => {
      const made = await ask(`/containers/${task.Status.ContainerStatus.ContainerID}/json`);
      const sandbox = made.NetworkSettings?.SandboxID?.slice(0, 12);
      const member = Object.values(members).find(({ Name: name }) => name === `gateway_${sandbox}`);
      return member?.IPv4Address.split("/")[0];
    }),
  );
  return addresses.filter(Boolean).map(host => ({ host, port: port(service).TargetPort }));
}

let targets = [];
let turn = 0;

net
  .createServer(client => {
    client.on("error", () => undefined);
    const target = targets[turn++ % targets.length];
    if (!target) return client.resetAndDestroy();
    const server = net.connect(target, () => client.pipe(server).pipe(client));
    server.on("error", () => client.resetAndDestroy());
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  })
  .listen(Number(listen), "0.0.0.0");

for (;;) {
  targets = await look().catch(() => targets);
  await new Promise(done => setTimeout(done, LOOK_MS));
}
