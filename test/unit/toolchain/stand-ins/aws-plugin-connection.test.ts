import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { HeadBucketCommand } from "@aws-sdk/client-s3";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkConfig, connect } from "../../../../toolchain/stand-ins/aws-plugin/connection.ts";
import { codeOf, saying, unless } from "../../../../toolchain/stand-ins/aws-plugin/errors.ts";
import { UNKNOWN } from "../../../../toolchain/stand-ins/provider.ts";

describe("errors", () => {
  const refusal = Object.assign(new Error("no"), {
    name: "NoSuchEntityException",
    Code: "NoSuchEntity",
    $metadata: { httpStatusCode: 404 },
  });
  const toHead = Object.assign(new Error("UnknownError"), {
    name: "NotFound",
    $metadata: { httpStatusCode: 404 },
  });
  const down = Object.assign(new Error(""), { name: "AggregateError", code: "ECONNREFUSED" });

  it("name what was done, the server's code and what it said", async () => {
    const failing = (error: Error) => saying('deleting User "w"', () => Promise.reject(error));
    await expect(failing(refusal)).rejects.toThrow(/^deleting User "w": NoSuchEntity \(HTTP 404\): no$/);
    await expect(failing(toHead)).rejects.toThrow(/^deleting User "w": HTTP 404$/);
    await expect(failing(down)).rejects.toThrow(/^deleting User "w": ECONNREFUSED$/);
  });

  it("are an answer where they say that there is nothing, and go on otherwise", async () => {
    expect(codeOf(refusal)).toBe("NoSuchEntity");
    expect(await unless(["NoSuchEntity"], Promise.reject(refusal))).toBeUndefined();
    await expect(unless(["NoSuchBucket"], Promise.reject(refusal))).rejects.toBe(refusal);
  });
});

describe("the connection", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
    vi.unstubAllEnvs();
  });

  /** A server that has nothing, and the paths that it was asked for. */
  async function emptyServer(): Promise<{ url: string; paths: string[] }> {
    const paths: string[] = [];
    server = createServer((request, response) => {
      paths.push(request.url ?? "");
      response.writeHead(404).end();
    });
    await new Promise<void>(resolve => server?.listen(0, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths };
  }

  it.each(["endpoints", "AWS_ENDPOINT_URL"])(
    "goes where %s says, in path style when asked for",
    async where => {
      const { url, paths } = await emptyServer();
      if (where === "AWS_ENDPOINT_URL") vi.stubEnv(where, url);
      const { s3, region } = await connect({
        region: "eu-central-1",
        accessKey: "a",
        secretKey: "b",
        s3UsePathStyle: "true",
        ...(where === "endpoints" ? { endpoints: JSON.stringify([{ s3: url }]) } : {}),
      });
      await expect(s3.send(new HeadBucketCommand({ Bucket: "backups" }))).rejects.toThrow();
      expect(paths).toEqual(["/backups/"]);
      expect(region).toBe("eu-central-1");
    },
  );

  it("refuses configuration that it would not heed", () => {
    const endpoints = JSON.stringify([{ s3: "http://a", ec2: "http://b" }]);
    expect(
      checkConfig({ region: "x", endpoints, assumeRoles: "[{}]", insecure: "null" }).map(
        ({ property }) => property,
      ),
    ).toEqual(["assumeRoles", "endpoints.ec2"]);
    expect(checkConfig({ endpoints: UNKNOWN })).toEqual([]);
  });
});
