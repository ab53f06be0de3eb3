import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installed } from "../../../toolchain/machine/container-engine.ts";
import { aptInstall } from "./apt-install.ts";
import { freePort } from "./free-port.ts";
import { localServer, serverFolder } from "./local-server.ts";

export interface TestRegistry {
  /** `127.0.0.1:5000`, which engines trust without TLS. */
  host: string;
  stop(): Promise<void>;
}

/** Debian's image registry, on a free port. It is installed where it is missing. Throws on a machine that cannot have it. */
export async function startRegistry(): Promise<TestRegistry> {
  if (!(await installed("docker-registry"))) await aptInstall("registry", ["docker-registry"]);
  const folder = await serverFolder("registry");
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(folder, "config.yml");
  const data = await mkdtemp(join(folder, "data-"));
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      storage: { filesystem: { rootdirectory: data } },
      http: { addr: host },
    }),
  );
  const server = localServer({
    name: "registry",
    folder,
    file: "docker-registry",
    args: ["serve", config],
    ready: async () => (await fetch(`http://${host}/v2/`)).ok,
  });
  await server.start();
  return { host, stop: () => server.stop() };
}
