import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  imageTriggers,
  type KnownImage,
  otherLibraryProblem,
} from "../../../../components/images/pulled-image.ts";
import { knownImages } from "../../../../components/prepare/stack-state.ts";
import type { Engine } from "../../../../engine/find-engine.ts";

const [OLD, NEW] = ["a".repeat(64), "b".repeat(64)];
const NAME = "postgres:16-alpine";
const FULL = `docker.io/library/${NAME}`;

let folder: string;
let server: Server;
let engine: Engine;
/** What the engine has, by every name: an id and whether it is a stand-in. */
let images: Record<string, { id: string; standIn?: boolean }>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "budgie-images-"));
  images = {};
  server = createServer((request, response) => {
    const name = /\/images\/(.+)\/json/.exec(decodeURIComponent(request.url ?? ""))?.[1] ?? "";
    const image = images[name.replace(/^sha256:/, "")];
    const body = image
      ? { Id: `sha256:${image.id}`, Config: { Labels: image.standIn ? { "budgie.stand-in": "true" } : null } }
      : { message: "no such image" };
    response.writeHead(image ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  const path = join(folder, "engine.sock");
  await new Promise<void>(resolve => server.listen(path, resolve));
  engine = { host: `unix://${path}`, kind: "docker", reachable: true };
});
afterEach(async () => {
  await new Promise(resolve => server.close(resolve));
  rmSync(folder, { recursive: true });
});

const known = (image: Partial<KnownImage> = {}) =>
  new Map([["database-image", { name: NAME, imageId: `sha256:${OLD}`, triggers: undefined, ...image }]]);

describe("an image of a registry", () => {
  it.each<
    [string, string | undefined, Record<string, string> | undefined, Record<string, string> | undefined]
  >([
    ["that a newer one has taken the name of is fetched anew", NEW, undefined, { image: NEW }],
    ["that has changed once before, too", NEW, { image: OLD }, { image: NEW }],
    ["that is still the same stays as it was declared", OLD, undefined, undefined],
    ["that is still the one that it changed to stays so", OLD, { image: OLD }, { image: OLD }],
    ["that the engine no longer has stays as it was declared", undefined, { image: OLD }, { image: OLD }],
  ])("%s", async (_, now, before, after) => {
    if (now) images[FULL] = { id: now };
    expect((await imageTriggers(engine, known({ triggers: before }))).get("database-image")).toEqual(after);
  });

  it("stays as it was declared where no engine answers, and before the first `up`", async () => {
    images[FULL] = { id: NEW };
    expect((await imageTriggers({ ...engine, reachable: false }, known())).size).toBe(0);
    expect((await imageTriggers(engine, new Map())).size).toBe(0);
    expect((await imageTriggers(engine, known({ imageId: undefined }))).size).toBe(0);
  });

  it("is known from the state, and one that the stack built is not", () => {
    const outputs: Record<string, Record<string, unknown>> = {
      "database-image": { name: NAME, imageId: `sha256:${OLD}`, triggers: { image: OLD } },
      "backend-image": { name: "budgie-backend:1", imageId: `sha256:${OLD}`, build: { context: "." } },
    };
    const state = {
      resource: (_: string, name: string) =>
        outputs[name] ? { urn: name, outputs: outputs[name] } : undefined,
    };
    expect([...knownImages(state)]).toEqual([
      ["database-image", { name: NAME, imageId: `sha256:${OLD}`, triggers: { image: OLD } }],
    ]);
  });
});

describe("a database's image of another kind", () => {
  const database = () => known().get("database-image");

  it.each([
    ["official", true, "means the official image now, and the database was made by a stand-in"],
    ["a stand-in", false, "means a stand-in now, and the database was made by the official image"],
  ])("is refused when it is %s, with the line that gives the name back", async (_, was, says) => {
    images = { [OLD]: { id: OLD, standIn: was }, [FULL]: { id: NEW, standIn: !was } };
    const problem = await otherLibraryProblem(engine, database());
    expect(problem).toContain(says);
    expect(problem).toContain(`docker tag ${OLD} ${NAME}`);
  });

  it("is none when both are of one kind, or when one of them is unknown", async () => {
    images = { [OLD]: { id: OLD }, [FULL]: { id: NEW } };
    expect(await otherLibraryProblem(engine, database())).toBeUndefined();
    images = { [FULL]: { id: NEW, standIn: true } };
    expect(await otherLibraryProblem(engine, database())).toBeUndefined();
    expect(await otherLibraryProblem(engine, undefined)).toBeUndefined();
  });
});
