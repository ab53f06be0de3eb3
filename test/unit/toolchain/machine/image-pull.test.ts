import { expect, it } from "vitest";
import { type PullFault, pullFault } from "../../../../toolchain/machine/image-pull.ts";

const HUB = 'Get "https://registry-1.docker.io/v2/"';
const BLOB = 'Get "https://cdn.example.com/v2/library/postgres/blobs/sha256:0f"';

it.each<[string, PullFault]>([
  // Docker
  [`${HUB}: dial tcp: lookup registry-1.docker.io on 127.0.0.53:53: no such host`, "out of reach"],
  [`${HUB}: dial tcp 3.94.224.37:443: i/o timeout`, "out of reach"],
  [`${HUB}: net/http: TLS handshake timeout`, "out of reach"],
  [`${HUB}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)`, "out of reach"],
  [`${HUB}: read tcp 10.0.0.2:33112->3.94.224.37:443: read: connection reset by peer`, "out of reach"],
  [`${HUB}: proxyconnect tcp: dial tcp: lookup proxy: no such host`, "out of reach"],
  ["no answer in time", "out of reach"],
  ["manifest for pgsty/silo:nosuch not found: manifest unknown: manifest unknown", "missing"],
  [
    "pull access denied for pgsty/nosuch, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
    "missing",
  ],
  ['error parsing HTTP 404 response body: invalid character: "nope"', "missing"],
  ["toomanyrequests: You have reached your unauthenticated pull rate limit.", "limited"],
  ['error parsing HTTP 429 response body: invalid character: "slow down"', "limited"],
  [`unexpected status from HEAD request: 429 Too Many Requests`, "limited"],
  ["received unexpected HTTP status: 503 Service Unavailable", "faulty"],
  [`${HUB}: x509: certificate signed by unknown authority`, "faulty"],
  ["unexpected EOF", "broken off"],
  [`${BLOB}: read: connection reset by peer`, "broken off"],
  ["filesystem layer verification failed for digest sha256:0f", "spoilt"],
  ["nothing more came for 120 s", "spoilt"],
  ["failed to register layer: write /usr/bin/node: no space left on device", "no space"],
  ["denied", "refused"],
  ['Head "https://registry-1.docker.io/v2/library/x/manifests/1": no basic auth credentials', "refused"],
  // Podman
  [
    "initializing source docker://x:1: reading manifest 1 in docker.io/library/x: manifest unknown",
    "missing",
  ],
  [
    "pinging container registry registry-1.docker.io: Get ...: dial tcp: lookup registry-1.docker.io: no such host",
    "out of reach",
  ],
  [
    "reading manifest 1 in docker.io/library/x: toomanyrequests: You have reached your pull rate limit",
    "limited",
  ],
  ["writing blob: storing blob to file: unexpected EOF", "broken off"],
])("%s: %s", (words, fault) => {
  expect(pullFault(words)).toBe(fault);
});
