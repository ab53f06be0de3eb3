import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { type Answer, listen, stop } from "../faults/download-site.ts";

export interface ScriptedRegistry {
  /** `127.0.0.1:PORT/team/store:1`, which engines pull without TLS. */
  image: string;
  stop(): Promise<void>;
}

/** Where a registry's answers may differ from those of a good one; each gets how often it was asked before. */
export interface Script {
  /** For everything. */
  any?: (before: number) => Answer | undefined;
  manifest?: (before: number) => Answer | undefined;
  layer?: (before: number, content: Buffer) => Answer | undefined;
}

const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const digest = (content: Buffer) => `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** A stand-in of an image registry with one image, of one layer without a file in it. */
export async function scriptedRegistry(script: Script = {}): Promise<ScriptedRegistry> {
  // The end of a tar archive is two empty blocks. The layer is long enough to be cut, and another one each time.
  const archive = Buffer.alloc(1024 * 512);
  const layer = gzipSync(archive, { level: 0 });
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: { Labels: { at: String(process.hrtime.bigint()) } },
      rootfs: { type: "layers", diff_ids: [digest(archive)] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: {
        mediaType: "application/vnd.docker.container.image.v1+json",
        size: config.length,
        digest: digest(config),
      },
      layers: [
        {
          mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
          size: layer.length,
          digest: digest(layer),
        },
      ],
    }),
  );
  const asked = { any: 0, manifest: 0, layer: 0 };
  const give = (content: Buffer, type: string) => (request: IncomingMessage, response: ServerResponse) => {
    const headers = {
      "content-type": type,
      "content-length": content.length,
      "docker-content-digest": digest(content),
    };
    response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : content);
  };
  const server = createServer((request, response) => {
    const url = request.url ?? "";
    const isLayer = url.endsWith(digest(layer));
    const other =
      script.any?.(asked.any++) ??
      (url.includes("/manifests/") ? script.manifest?.(asked.manifest++) : undefined) ??
      (isLayer ? script.layer?.(asked.layer++, layer) : undefined);
    if (other) return other(response, request);
    if (url === "/v2/") return give(Buffer.from("{}"), "application/json")(request, response);
    if (url.includes("/manifests/")) return give(manifest, MANIFEST)(request, response);
    if (isLayer) return give(layer, "application/octet-stream")(request, response);
    if (url.endsWith(digest(config))) return give(config, "application/octet-stream")(request, response);
    response.writeHead(404).end();
  });
  const port = await listen(server);
  return { image: `127.0.0.1:${port}/team/store:1`, stop: () => stop(server) };
}

/** As registries say what is wrong. */
export function registryError(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return response =>
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify({ errors: [{ code, message }] }));
}
