import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  IMAGES_FILE,
  imagesIn,
  pinnedImages,
  withDigests,
  withPinnedImages,
} from "../../../../components/images/pinned-images.ts";
import type { Engine } from "../../../../engine/find-engine.ts";
import { databaseImage, MAJOR_VERSIONS } from "../../../../shared/database-image.ts";

const [ONE, TWO] = ["1", "2"].map(digit => `sha256:${digit.repeat(64)}`) as [string, string];
const TEXT = `# FROM nothing:1\nFROM postgres:16-alpine@${ONE}\nFROM team/store:latest@${TWO}\nFROM node:24-alpine\n`;

let folder: string;
let server: Server;
/** The images that the engine has, and the labels of each. */
let images: Record<string, Record<string, string> | null>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "budgie-engine-"));
  images = { "docker.io/team/store:latest": null };
  server = createServer((request, response) => {
    const [, name = ""] = /\/images\/(.+)\/json$/.exec(decodeURIComponent(request.url ?? "")) ?? [];
    const labels = images[name];
    response.writeHead(labels === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(
      JSON.stringify(labels === undefined ? { message: "no such image" } : { Config: { Labels: labels } }),
    );
  });
  await new Promise<void>(resolve => server.listen(join(folder, "engine.sock"), resolve));
});
afterEach(async () => {
  await new Promise(resolve => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const engine = (kind: Engine["kind"]): Engine => ({
  host: `unix://${join(folder, "engine.sock")}`,
  kind,
  reachable: true,
});

describe("pinned images", () => {
  it("are asked for by digest; those that are not pinned, by their tag", async () => {
    expect([...(await pinnedImages(engine("docker"), TEXT))]).toEqual([
      ["postgres:16-alpine", `postgres@${ONE}`],
      ["team/store:latest", `team/store@${TWO}`],
    ]);
  });

  it("have full names on Podman", async () => {
    expect([...(await pinnedImages(engine("podman"), TEXT)).values()]).toEqual([
      `docker.io/library/postgres@${ONE}`,
      `docker.io/team/store@${TWO}`,
    ]);
  });

  it("are not asked for by digest where the engine has a stand-in", async () => {
    images["docker.io/library/postgres:16-alpine"] = { "budgie.stand-in": "true", other: "1" };
    expect([...(await pinnedImages(engine("docker"), TEXT)).keys()]).toEqual(["team/store:latest"]);
  });

  it("are pinned in a preview without an engine as well", async () => {
    const gone: Engine = { host: "unix:///nonexistent.sock", kind: "docker", reachable: false };
    expect((await pinnedImages(gone, TEXT)).size).toBe(2);
  });

  it("stand in a Dockerfile in place of their tags, whatever else is on the line", () => {
    const pins = new Map([["node:24-alpine", `node@${ONE}`]]);
    const dockerfile = "FROM node:24-alpine AS node\nFROM postgres:16-alpine\nCOPY --from=node /a /b\n";
    expect(withPinnedImages(dockerfile, pins)).toBe(dockerfile.replace("node:24-alpine", `node@${ONE}`));
  });
});

describe("the file with the images", () => {
  it("keeps everything but the digests when it is pinned", () => {
    const digests = new Map([
      ["postgres:16-alpine", TWO],
      ["node:24-alpine", ONE],
    ]);
    expect(withDigests(TEXT, digests)).toBe(
      `# FROM nothing:1\nFROM postgres:16-alpine@${TWO}\nFROM team/store:latest@${TWO}\nFROM node:24-alpine@${ONE}\n`,
    );
  });

  it("names every image that the stack begins with, so that none is left out of the pinning", () => {
    const listed = imagesIn(readFileSync(IMAGES_FILE, "utf8")).map(({ name }) => name);
    const built = ["agent/Dockerfile", "backend/Dockerfile"].flatMap(file =>
      [...readFileSync(file, "utf8").matchAll(/^FROM (\S+)/gm)].map(([, name]) => name),
    );
    const store = /default: (pgsty\S+)/.exec(readFileSync("Pulumi.yaml", "utf8"))?.[1];
    const chosen = MAJOR_VERSIONS.map(databaseImage);
    expect(listed.sort()).toEqual([...new Set([...built, ...chosen, store])].sort());
  });
});
