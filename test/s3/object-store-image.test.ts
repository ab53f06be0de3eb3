// The image of the stack's own object store, official or built by the toolchain.
import { execa } from "execa";
import { beforeAll, expect, it } from "vitest";
import { toolchainEnvironment } from "../../toolchain/machine/environment.ts";

const IMAGE = "pgsty/silo:RELEASE.2026-09-16T00-00-00Z";

// It may have to be built first.
beforeAll(() => toolchainEnvironment(), 30 * 60_000);

it.each([
  ["names the server", ["minio", "--version"]],
  ["names only what the server is to do", ["--version"]],
])("runs MinIO for a command that %s", async (_, command) => {
  const { stdout } = await execa("docker", ["run", "--rm", IMAGE, ...command]);
  expect(stdout).toMatch(/^minio version /);
});
