// A newer image under the same name, as after `docker pull`.
import { execa } from "execa";
import { afterAll, expect } from "vitest";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack | undefined;
const images: string[] = [];
afterAll(async () => {
  await stack?.remove();
  for (const image of images) await execa("docker", ["rmi", "-f", image], { reject: false });
});

/** An API that only says that it is there. @param version what makes it another image under the same name */
async function build(name: string, version: number): Promise<string> {
  const serve = `require("http").createServer((q,a)=>a.end("{}")).listen(3001)`;
  const dockerfile = `FROM node:24-alpine\nLABEL version=${version}\nCMD ["node", "-e", ${JSON.stringify(serve)}]\n`;
  await execa("docker", ["build", "-q", "-t", name, "-"], { input: dockerfile });
  const { stdout } = await execa("docker", ["image", "inspect", "-f", "{{.Id}}", name]);
  return stdout;
}

itSlowly(
  "`up` puts the container on the newer image, once, and keeps every other container",
  async () => {
    const name = `budgie-test-newer-${process.pid}:1`;
    images.push(name);
    const first = await build(name, 1);
    stack = await createStack({ backendImage: name });
    await stack.up();
    const imageOf = async () =>
      (await stack?.docker.getContainer(`${stack.prefix}-backend`).inspect())?.Image;
    expect(await imageOf()).toBe(first);
    await stack.requireNoChange();

    const second = await build(name, 2);
    const database = await stack.containerId("db");
    await stack.up();
    expect(await imageOf()).toBe(second);
    expect(await stack.containerId("db")).toBe(database);
    await stack.requireNoChange();
    const backend = await stack.containerId("backend");
    await stack.up();
    expect(await stack.containerId("backend")).toBe(backend);
    images.push(first, second);
  },
  300_000,
);
