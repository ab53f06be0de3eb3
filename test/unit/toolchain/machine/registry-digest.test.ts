import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { registryDigest } from "../../../../toolchain/machine/registry-digest.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

let server: Server;
let host: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => new Promise(resolve => server.close(resolve)));

it("a registry that wants a token even for a public image is given one", async () => {
  answer = (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", `http://${host}`);
    if (pathname === "/token") {
      expect(Object.fromEntries(searchParams)).toEqual({
        service: "the registry",
        scope: "repository:team/store:pull",
      });
      response.end(JSON.stringify({ token: "for everyone" }));
    } else if (request.headers.authorization !== "Bearer for everyone") {
      const challenge = `Bearer realm="http://${host}/token",service="the registry",scope="repository:team/store:pull"`;
      response.writeHead(401, { "www-authenticate": challenge }).end();
    } else {
      expect([request.method, pathname]).toEqual(["HEAD", "/v2/team/store/manifests/latest"]);
      expect(request.headers.accept).toMatch(/^application\/vnd\.oci\.image\.index/);
      response.writeHead(200, { "docker-content-digest": DIGEST }).end();
    }
  };
  expect(await registryDigest(`${host}/team/store:latest`)).toBe(DIGEST);
});

it.each([
  ["wants a login", 401, { "www-authenticate": "Basic realm=here" }, "its registry wants a login"],
  ["does not have it", 404, {}, "has no such image"],
  ["names no digest", 200, {}, "answers 200, without a digest"],
  ["names half a digest", 200, { "docker-content-digest": "sha256:abc" }, "answers 200, without a digest"],
  [
    "limits it",
    429,
    { "retry-after": "1200" },
    /limits how often it is asked from here \(429\), until .* \(in 20 minutes\)/,
  ],
  ["is not well", 503, {}, "answers 503, without a digest"],
])("a registry that %s gives the reason, and no digest", async (_, status, headers, why) => {
  answer = (_request, response) => response.writeHead(status, headers).end();
  await expect(registryDigest(`${host}/team/store:latest`)).rejects.toThrow(why);
});
