import { mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keptKey, keyFile } from "../../../components/manifest-key.ts";

describe("the key of the backups' manifests", () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "budgie-state-"));
    file = join(folder, "manifest-keys", "dev");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is made once, of 32 random bytes, and is the same after `pulumi destroy`", async () => {
    const key = await keptKey(file);
    expect(Buffer.from(key, "base64url")).toHaveLength(32);
    expect(await keptKey(file)).toBe(key);
    expect(await keptKey(join(folder, "manifest-keys", "prod"))).not.toBe(key);
  });

  it("is for the operator's eyes alone, and nothing half written stays beside it", async () => {
    await keptKey(file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, "manifest-keys"))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, "manifest-keys"))).toEqual(["dev"]);
  });

  it("is whole after a first try that was killed", async () => {
    await keptKey(file);
    await rm(file);
    await writeFile(`${file}.new`, "cut o");
    expect(Buffer.from(await keptKey(file), "base64url")).toHaveLength(32);
  });

  it("is not silently another one when its file was cut off", async () => {
    await keptKey(file);
    await truncate(file, 10);
    await expect(keptKey(file)).rejects.toThrow(/is empty or was cut off\. Put it back from your copy/);
  });

  it.each([
    [{}, ".pulumi-state/manifest-keys/dev"],
    [{ PULUMI_BACKEND_URL: "file:///var/lib/budgie" }, "/var/lib/budgie/manifest-keys/dev"],
    [{ PULUMI_BACKEND_URL: "https://api.pulumi.com" }, undefined],
    [{ PULUMI_BACKEND_URL: "s3://states" }, undefined],
  ])("is kept where the state is: %j", (environment, expected) => {
    expect(keyFile({ ...environment, BUDGIE_STACK: "dev" })).toBe(expected);
  });
});
