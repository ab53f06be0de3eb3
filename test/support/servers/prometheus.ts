import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { prometheus } from "../../../toolchain/machine/prometheus.ts";
import { freePort } from "./free-port.ts";
import { localServer, serverFolder } from "./local-server.ts";

export interface TestPrometheus {
  /** `data` of what its HTTP API answers, which is parsed JSON. */
  ask(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** A real Prometheus that scrapes `target` (host:port) and evaluates the rules of `file`, both each second. */
export async function startPrometheus(target: string, file: string): Promise<TestPrometheus> {
  const { server } = await prometheus();
  const folder = await serverFolder("prometheus");
  const port = await freePort();
  await writeFile(join(folder, "alerts.yml"), await readFile(file));
  await writeFile(
    join(folder, "prometheus.yml"),
    stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["alerts.yml"],
      scrape_configs: [{ job_name: "budgie", static_configs: [{ targets: [target] }] }],
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  const running = localServer({
    name: "Prometheus",
    folder,
    file: server,
    args: [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    ready: async () => (await fetch(`${url}/-/ready`)).ok,
  });
  await running.start();
  return {
    ask: async path => {
      const answer = (await (await fetch(`${url}/api/v1/${path}`)).json()) as {
        status: string;
        data: unknown;
        error?: string;
      };
      if (answer.status !== "success") throw new Error(`${path}: ${answer.error}`);
      return answer.data;
    },
    stop: running.stop,
  };
}
