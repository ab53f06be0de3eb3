// What the other S3 tests assume of their servers.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadBucketCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { execa } from "execa";
import { expect, it } from "vitest";
import { startMinio } from "../support/servers/minio.ts";
import { startMoto } from "../support/servers/moto.ts";
import { s3Client } from "../support/servers/s3-client.ts";

const client = (server: Parameters<typeof s3Client>[0]) => s3Client({ ...server, maxAttempts: 1 });
const from = (server: { endpoint: string }, path: string) =>
  execa("docker", ["run", "--rm", "postgres:16-alpine", "wget", "-qO-", `${server.endpoint}${path}`], {
    reject: false,
  });

it("MinIO keeps what it has over a kill, at the same address, which containers reach as well", async () => {
  const minio = await startMinio();
  const s3 = client(minio);
  await s3.send(new CreateBucketCommand({ Bucket: "kept" }));
  await s3.send(new PutObjectCommand({ Bucket: "kept", Key: "a", Body: "as it was" }));
  await minio.kill();
  // On a new connection: the old one may only now notice that it was cut.
  await expect(client(minio).send(new HeadBucketCommand({ Bucket: "kept" }))).rejects.toThrow("ECONNREFUSED");
  await minio.start();
  const object = await s3.send(new GetObjectCommand({ Bucket: "kept", Key: "a" }));
  expect(await object.Body?.transformToString()).toBe("as it was");
  const answer = await from(minio, "/minio/health/live");
  expect(answer.exitCode, answer.stderr).toBe(0);
  await minio.stop();
});

it("moto with IAM on refuses a wrong secret and serves the right one, to containers as well", async () => {
  const moto = await startMoto({ iam: true });
  await client(moto).send(new CreateBucketCommand({ Bucket: "checked" }));
  const wrong = client({ ...moto, secretAccessKey: "wrong" }).send(
    new HeadBucketCommand({ Bucket: "checked" }),
  );
  await expect(wrong).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  const answer = await from(moto, "/moto-api/data.json");
  expect(answer.exitCode, answer.stderr).toBe(0);
  await moto.stop();
});

it.each([
  ["MinIO", `import { startMinio as start } from "./test/support/servers/minio.ts";`],
  ["moto", `import { startMoto as start } from "./test/support/servers/moto.ts";`],
])("%s ends, and its folder goes, when the process that started it is killed with -9", async (_, load) => {
  const program = `${load}
    import { readdirSync } from "node:fs";
    const { endpoint } = await start();
    process.stdout.write(endpoint + "\\n");
    setInterval(() => {}, 1000);`;
  const before = await testFolders();
  const owner = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const endpoint = String(await new Promise(resolve => owner.stdout.once("data", resolve))).trim();
  const made = (await testFolders()).filter(folder => !before.includes(folder));
  expect(made).toHaveLength(1);
  owner.kill("SIGKILL");
  await expect.poll(() => fetch(endpoint).catch(() => "gone"), { timeout: 20_000 }).toBe("gone");
  await expect.poll(() => existsSync(made[0] ?? ""), { timeout: 20_000 }).toBe(false);
});

async function testFolders(): Promise<string[]> {
  const { stdout } = await execa("sh", ["-c", `ls -d "\${TMPDIR:-/tmp}"/budgie-test-m* || true`]);
  return stdout.split("\n").filter(Boolean);
}
