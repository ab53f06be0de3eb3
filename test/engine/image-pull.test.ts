// The container engine pulls from a registry that is not well.
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { pull } from "../../toolchain/machine/image-pull.ts";
import { half, hangsUp, standsStill, status, whole } from "../support/faults/download-site.ts";
import { freePort } from "../support/servers/free-port.ts";
import {
  registryError,
  type Script,
  type ScriptedRegistry,
  scriptedRegistry,
} from "../support/servers/scripted-registry.ts";

vi.mock("../../toolchain/machine/patience.ts", () => ({
  TRIES: 3,
  PAUSES_MS: [50, 100],
  LONGEST_PAUSE_MS: 2_000,
  ANSWER_MS: 2_000,
  REGISTRY_SILENCE_MS: { outOfReach: 1_000, slow: 3_000 },
}));

const LIMIT = "You have reached your pull rate limit.";
let docker: ReturnType<typeof engineClient>;
let registry: ScriptedRegistry | undefined;
let said: string[];

beforeAll(async () => {
  docker = engineClient((await findEngine()).host);
});
beforeEach(() => {
  said = [];
  vi.spyOn(process.stderr, "write").mockImplementation(text => said.push(String(text)) > 0);
});
afterEach(async () => {
  vi.restoreAllMocks();
  if (registry)
    await docker
      .getImage(registry.image)
      .remove({ force: true })
      .catch(() => undefined);
  await registry?.stop();
  registry = undefined;
});

function limitedForASecond(): Script {
  let begun: number | undefined;
  const limit = registryError(429, "TOOMANYREQUESTS", LIMIT, { "retry-after": "1" });
  return {
    manifest: () => {
      begun ??= Date.now();
      return Date.now() < begun + 900 ? limit : undefined;
    },
  };
}

async function pullFrom(script: Script): Promise<boolean> {
  registry = await scriptedRegistry(script);
  return pull(docker, registry.image);
}

describe("an image is pulled", () => {
  it.each<[string, Script]>([
    ["at once", {}],
    ["after the registry had a fault", { manifest: before => (before < 2 ? status(500) : undefined) }],
    [
      "after a layer was cut half-way",
      { layer: (before, content) => (before < 1 ? half(content) : undefined) },
    ],
    [
      "after a layer stood still",
      { layer: (before, content) => (before < 1 ? standsStill(content) : undefined) },
    ],
    [
      "after a layer had other bytes",
      { layer: (before, content) => (before < 1 ? whole(Buffer.alloc(content.length, 7)) : undefined) },
    ],
    ["after the limit, when it is short", limitedForASecond()],
  ])(
    "%s",
    async (_, script) => {
      expect(await pullFrom(script), said.join("")).toBe(true);
      expect((await docker.getImage(registry?.image ?? "").inspect()).RepoTags).toContain(registry?.image);
    },
    60_000,
  );
});

describe("an image that cannot be pulled is told by the true cause, and nothing is built in its place", () => {
  it.each<[string, Script, string[]]>([
    [
      "it does not exist",
      { manifest: () => registryError(404, "MANIFEST_UNKNOWN", "manifest unknown") },
      ["manifest unknown", "answers and does not have it", "docker save"],
    ],
    [
      "its repository does not exist",
      { manifest: () => registryError(404, "NAME_UNKNOWN", "repository name not known") },
      ["answers and does not have it"],
    ],
    [
      "the registry limits it for a while",
      { manifest: () => registryError(429, "TOOMANYREQUESTS", LIMIT, { "retry-after": "1200" }) },
      ["limits how often it is asked from here (429), until", "(in 20 minutes)", "docker login"],
    ],
    [
      "the registry limits it without a time",
      { any: () => status(429) },
      ["429", "docker login", "six hours where none is named"],
    ],
    ["the registry has a fault", { manifest: () => status(500) }, ["500", "Wait some minutes"]],
  ])(
    "%s",
    async (_, script, says) => {
      const failure = await pullFrom(script).then(
        pulled => `pulled: ${pulled}`,
        (error: Error) => error.message,
      );
      expect(failure).toMatch(/^127\.0\.0\.1:\d+\/team\/store:1 could not be pulled: /);
      for (const text of says) expect(failure).toContain(text);
    },
    60_000,
  );
});

describe("a stand-in takes an image's place", () => {
  it("where nobody is there", async () => {
    expect(await pull(docker, `127.0.0.1:${await freePort()}/team/store:1`)).toBe(false);
    expect(said.join("")).toMatch(/No registry to pull .* from \(.*connection refused\)/);
  });

  it.each<[string, Script]>([
    ["cuts every connection", { any: () => hangsUp }],
    ["refuses everything", { any: () => status(403) }],
    ["wants a login", { any: () => status(401, { "www-authenticate": "Basic realm=here" }) }],
  ])("where the registry %s", async (_, script) => {
    expect(await pullFrom(script)).toBe(false);
    expect(said.join("")).toContain("No registry to pull");
  });
});
