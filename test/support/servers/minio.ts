import { randomBytes } from "node:crypto";
import { minioServer } from "../../../toolchain/machine/minio.ts";
import { freePort } from "./free-port.ts";
import { addressForContainers, type LocalServer, localServer, serverFolder } from "./local-server.ts";

export interface TestMinio extends LocalServer {
  /** `http://ADDRESS:PORT`, for this machine and for containers. Stays the same after `kill()` and `start()`. */
  endpoint: string;
  /** Root's credentials: no bucket policy binds them. */
  accessKeyId: string;
  secretAccessKey: string;
}

/**
 * Runs a throw-away MinIO server as a process on this machine, on all of its addresses, and waits until it can write. Its data
 * survives `kill()` and `start()`, and goes with `stop()` or when the test process ends. The server is built on first use,
 * which takes minutes.
 * @param options.env MinIO's own variables, as `MINIO_KMS_SECRET_KEY`
 * @param options.fastLifecycle looks for expired objects all the time instead of rarely. A rule in days still needs objects
 * that look that old: put them with a signed header `x-minio-source-mtime`
 */
export async function startMinio(
  options: { env?: Record<string, string>; fastLifecycle?: boolean } = {},
): Promise<TestMinio> {
  const [file, address, port, folder] = await Promise.all([
    minioServer(),
    addressForContainers(),
    freePort(),
    serverFolder("minio"),
  ]);
  const endpoint = `http://${address}:${port}`;
  const [accessKeyId, secretAccessKey] = ["root-of-a-test", randomBytes(16).toString("hex")];
  const server = localServer({
    name: "MinIO",
    folder,
    file,
    args: ["server", "--quiet", "--address", `0.0.0.0:${port}`, `${folder}/data`],
    env: {
      MINIO_ROOT_USER: accessKeyId,
      MINIO_ROOT_PASSWORD: secretAccessKey,
      MINIO_BROWSER: "off",
      ...(options.fastLifecycle ? { MINIO_SCANNER_SPEED: "fastest", MINIO_SCANNER_CYCLE: "10s" } : {}),
      ...options.env,
    },
    ready: async () => (await fetch(`${endpoint}/minio/health/cluster`)).ok,
  });
  await server.start();
  return { ...server, endpoint, accessKeyId, secretAccessKey };
}
