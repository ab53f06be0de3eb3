import { defineConfig } from "vitest/config";

// The AWS SDK would advise on the Node version in the midst of every test's output.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

/**
 * unit      nothing but Node: seconds.
 * postgres  a real PostgreSQL 16 in a container, one per test file.
 * s3        real S3 servers on this machine: MinIO, and moto for what only AWS has.
 * engine    the real Pulumi engine and real containers: one stack after the other, because they share ports and cores.
 */
export default defineConfig({
  test: {
    reporters: ["default"],
    fileParallelism: false,
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 20_000 } },
      {
        test: {
          name: "postgres",
          include: ["test/postgres/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "s3",
          include: ["test/s3/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "engine",
          include: ["test/engine/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
