import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// The AWS SDK would advise on the Node version in the midst of every test's output.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

/**
 * unit      nothing but Node: seconds.
 * postgres  a real PostgreSQL 16 in a container, one per test file.
 * s3        real S3 servers on this machine: MinIO, and moto for what only AWS has.
 * browser   what looks at a stack: a real Chromium at the status page, a real Prometheus at the metrics.
 * engine    the real Pulumi engine and real containers: one stack after the other, because they share ports and cores.
 */
export default defineConfig({
  test: {
    reporters: ["default"],
    fileParallelism: false,
    // The unit tests run in threads. A thread stays for the next file and keeps the packages that it has loaded.
    poolOptions: { threads: { isolate: false, maxThreads: availableParallelism() } },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          testTimeout: 20_000,
          hookTimeout: 30_000,
          pool: "threads",
          // Each file still gets the project's own modules, and mocks of them, anew.
          poolOptions: { threads: { isolate: true } },
        },
      },
      {
        test: {
          name: "postgres",
          include: ["test/postgres/**/*.test.ts"],
          globalSetup: "test/support/servers/podman-lane.ts",
          // On a machine that does other things as well, the longest take several times as long.
          testTimeout: 400_000,
          hookTimeout: 400_000,
        },
      },
      {
        test: {
          name: "s3",
          include: ["test/s3/**/*.test.ts"],
          // On a machine that does other things as well, the longest take several times as long.
          testTimeout: 400_000,
          hookTimeout: 400_000,
        },
      },
      {
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "engine",
          include: ["test/engine/**/*.test.ts"],
          globalSetup: "test/support/servers/podman-lane.ts",
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
