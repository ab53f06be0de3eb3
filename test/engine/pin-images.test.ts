import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { freePort } from "../support/servers/free-port.ts";
import { startRegistry, type TestRegistry } from "../support/servers/registry.ts";

let registry: TestRegistry;
let docker: Docker;
let folder: string;
let image: string;
/** As the engine was told at the push. */
let digest: string;

beforeAll(async () => {
  registry = await startRegistry();
  docker = engineClient((await findEngine()).host);
  folder = await mkdtemp(join(tmpdir(), "budgie-pins-"));
  image = `${registry.host}/household/ledger:1`;
  await writeFile(join(folder, "Dockerfile"), "FROM scratch\nLABEL household=true\n");
  await execa("docker", ["build", "--quiet", "--tag", image, folder]);
  await execa("docker", ["push", "--quiet", image]);
  const [pushed = ""] = (await docker.getImage(image).inspect()).RepoDigests;
  digest = pushed.split("@")[1] ?? "";
});
afterAll(async () => {
  await docker
    ?.getImage(image)
    .remove({ force: true })
    .catch(() => undefined);
  await registry?.stop();
  if (folder) await rm(folder, { recursive: true });
});

async function pin(text: string): Promise<{ code: number; says: string; text: string }> {
  const file = join(folder, "images");
  await writeFile(file, text);
  const { exitCode, all } = await execa("npm", ["run", "--silent", "pin-images", "--", file], {
    reject: false,
    all: true,
  });
  return { code: exitCode ?? 1, says: all, text: await readFile(file, "utf8") };
}

it("a tag is pinned by the digest that its registry has for it, and pinned anew when it has another one", async () => {
  const comment = "# These images.\n";
  const pinned = await pin(`${comment}FROM ${image}\n`);
  expect(pinned).toMatchObject({ code: 0, text: `${comment}FROM ${image}@${digest}\n` });
  expect((await pin(pinned.text)).text).toBe(pinned.text);
  const older = `sha256:${"0".repeat(64)}`;
  expect((await pin(`FROM ${image}@${older}\n`)).text).toBe(`FROM ${image}@${digest}\n`);
});

it("the engine finds what was pinned by its digest alone", async () => {
  const found = await docker.getImage(`${registry.host}/household/ledger@${digest}`).inspect();
  expect(found.Config.Labels).toEqual({ household: "true" });
});

it.each([
  ["that the registry does not have", () => registry.host, /has no such image/],
  [
    "whose registry does not answer",
    async () => `127.0.0.1:${await freePort()}`,
    /does not answer: ECONNREFUSED/,
  ],
])(
  "an image %s is one clear line, and the file stays as it was, the pins of others too",
  async (_, host, why) => {
    const text = `FROM ${image}\nFROM ${await host()}/household/none:1\n`;
    const refused = await pin(text);
    expect(refused).toMatchObject({ code: 1, text });
    expect(refused.says.split("\n").at(-1)).toMatch(why);
    expect(refused.says).not.toContain(" at ");
  },
);
