import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { removeOldImages } from "../../components/prepare/old-images.ts";
import { engineClient } from "../../engine/client.ts";
import { type Engine, findEngine } from "../../engine/find-engine.ts";

const prefix = `budgie-test-${randomBytes(3).toString("hex")}`;
const made: string[] = [];
let engine: Engine;
let client: ReturnType<typeof engineClient>;

beforeAll(async () => {
  engine = await findEngine(undefined);
  client = engineClient(engine.host);
});
afterAll(async () => {
  for (const name of made)
    await client
      .getImage(name)
      .remove({ force: true })
      .catch(() => undefined);
});

/** An image of this name, with a content of its own. */
async function build(repository: string): Promise<string> {
  const name = `${repository}:${createHash("sha256").update(String(made.length)).digest("hex").slice(0, 12)}`;
  const container = await client.createContainer({ Image: "postgres:16-alpine", Cmd: ["true"] });
  const [repo, tag] = name.split(":");
  await container.commit({ repo, tag, changes: [`LABEL n=${made.length}`] });
  await container.remove();
  made.push(name);
  return name;
}

async function there(): Promise<string[]> {
  const tags = (await client.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []);
  return made.filter(name => tags.includes(name));
}

it("an `up` removes the images of older deploys, but for the last two, the state's, and what a container uses", async () => {
  const [ofState, used, old, last, newest] = [
    await build(`${prefix}-backend`),
    await build(`${prefix}-backend`),
    await build(`${prefix}-backend`),
    await build(`${prefix}-backend`),
    await build(`${prefix}-backend`),
  ];
  const ofOthers = [await build(`${prefix}-2-backend`), await build(`${prefix}-backend-of-mine`)];
  const container = await client.createContainer({ Image: used, Cmd: ["true"] });
  try {
    const state = {
      resource: (_type: string, name: string) =>
        name === "backend-image" ? { urn: "", outputs: { name: ofState } } : undefined,
    };
    await removeOldImages(engine, state, prefix);
  } finally {
    await container.remove({ force: true });
  }
  expect(await there()).toEqual([ofState, used, last, newest, ...ofOthers]);
  expect(await there()).not.toContain(old);
});
