// The image of the stack's own object store, whichever of the two it is here.
import { execa } from "execa";
import { beforeAll, expect, it } from "vitest";
import { toolchainEnvironment } from "../../toolchain/environment.ts";

const IMAGE = "pgsty/minio:latest";

// It may have to be built first.
beforeAll(() => toolchainEnvironment(), 30 * 60_000);

it.each([
  ["names the server", ["minio", "--version"]],
  ["names only what the server is to do", ["--version"]],
])("runs MinIO for a command that %s", async (_, command) => {
  const { stdout } = await execa("docker", ["run", "--rm", IMAGE, ...command]);
  expect(stdout).toMatch(/^minio version /);
});
