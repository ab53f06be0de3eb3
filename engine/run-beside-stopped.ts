import type Docker from "dockerode";
import { containerLog } from "./container-log.ts";
import { unlessMissing } from "./unless-missing.ts";

export interface PostgresWork {
  /** What the container that does it is called after the server's own name. Only one of that name can be at work. */
  suffix: string;
  /** For `sh`, as the user postgres, on the server's volumes and with no network. */
  script: string;
  /** How many of the last lines that it wrote are wanted. */
  lines: number;
}

/**
 * Runs a program of PostgreSQL on the volumes of a database's container that the caller has stopped. DANGER: it must stay stopped until
 * this has ended, because two servers on a volume destroy the data. Whatever happens, nothing of this is at work any more when it ends.
 * What a killed one has left is ended and removed first; PostgreSQL recovers from that as from a crash.
 */
export async function runBesideStopped(
  client: Docker,
  stopped: Docker.Container,
  { suffix, script, lines }: PostgresWork,
): Promise<{ code: number; log: string }> {
  const { Name: own, Image: image, Id: id } = await stopped.inspect();
  const name = `${own.slice(1)}-${suffix}`;
  await unlessMissing(client.getContainer(name).remove({ v: false, force: true }));
  const worker = await client.createContainer({
    name,
    Image: image,
    User: "postgres",
    Entrypoint: ["sh", "-c"],
    Cmd: [script],
    HostConfig: { VolumesFrom: [id], NetworkMode: "none", CapDrop: ["ALL"] },
  });
  try {
    await worker.start();
    const { StatusCode: code } = (await worker.wait()) as { StatusCode: number };
    return { code, log: (await containerLog(worker, { tail: lines })).trim() };
  } finally {
    await worker.remove({ v: false, force: true });
  }
}
