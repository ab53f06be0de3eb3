import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { locate } from "../../../scripts/restore/restore-database.ts";
import { choose, type Stack } from "../../../scripts/stack/stack-containers.ts";
import { readerCredentials } from "../../../scripts/to-agent/bucket-reader.ts";
import { handOverIdentity } from "../../../scripts/to-agent/identity-file.ts";

const engine = { host: "unix:///nonexistent/engine.sock", kind: "docker", reachable: true } as const;

describe("which stack a command is for", () => {
  const stack = (name: string, prefix = "budgie"): Stack => ({ name, prefix, engine, containers: [] });

  it("is the only one there is", () => {
    expect(choose([stack("dev")], undefined).name).toBe("dev");
  });

  it("must be said when there are several, for none is guessed", () => {
    const both = [stack("dev"), stack("prod", "budgie-prod")];
    expect(() => choose(both, undefined)).toThrow(
      "There are several stacks here: dev (budgie), prod (budgie-prod).",
    );
    expect(choose(both, "prod").prefix).toBe("budgie-prod");
  });

  it("is told apart by its prefix when two have one name", () => {
    const twins = [stack("dev"), stack("dev", "budgie-try")];
    expect(() => choose(twins, "dev")).toThrow(
      "There are several stacks here: dev (budgie), dev (budgie-try).",
    );
    expect(choose(twins, "budgie-try").prefix).toBe("budgie-try");
  });

  it("must exist", () => {
    expect(() => choose([stack("dev")], "prd")).toThrow("There is no stack prd here; there is dev (budgie).");
    expect(() => choose([], undefined)).toThrow("No Budgie stack is on this container engine.");
  });
});

describe("what an operator asks to restore", () => {
  const folder = mkdtempSync(join(tmpdir(), "budgie-locate-"));
  const backups = join(folder, "backups");
  mkdirSync(backups);
  writeFileSync(join(backups, "budgie_20251125_092704.sql"), "x");
  writeFileSync(join(folder, "elsewhere.sql"), "x");

  it("goes by its name when it lies among the backups", () => {
    const path = join(backups, "budgie_20251125_092704.sql");
    expect(locate(path, backups)).toEqual({ inBackupDirectory: true, name: "budgie_20251125_092704.sql" });
  });

  it("is sent when it lies elsewhere", () => {
    const path = join(folder, "elsewhere.sql");
    expect(locate(path, backups)).toEqual({ inBackupDirectory: false, path });
  });

  it("is left to the agent when it is no file here", () => {
    expect(locate("latest", backups)).toEqual({ inBackupDirectory: true, name: "latest" });
  });

  it("is refused when it is a path that leads nowhere, or a folder", () => {
    expect(() => locate("./nowhere/x.sql", backups)).toThrow("./nowhere/x.sql does not exist.");
    expect(() => locate(backups, backups)).toThrow("is not a file.");
  });
});

describe("the credentials that may read the bucket", () => {
  const environment = { BUDGIE_S3_READER_ACCESS_KEY_ID: "id", BUDGIE_S3_READER_SECRET_ACCESS_KEY: "secret" };

  it("are taken from the environment, so that a machine without the stack's state can have them", async () => {
    expect(await readerCredentials("dev", environment)).toEqual({
      accessKeyId: "id",
      secretAccessKey: "secret",
    });
  });

  it("are refused when there is only half of them", async () => {
    const half = { BUDGIE_S3_READER_ACCESS_KEY_ID: "id" };
    await expect(readerCredentials("dev", half)).rejects.toThrow(
      "BUDGIE_S3_READER_SECRET_ACCESS_KEY is not set, and the other one is.",
    );
  });
});

it("an identity file that is not there is told before anything is asked of the agent", async () => {
  const stack: Stack = { name: "dev", prefix: "budgie", engine, containers: [] };
  await expect(handOverIdentity(stack, "/nonexistent/key.txt")).rejects.toThrow(
    /^The identity file \/nonexistent\/key\.txt cannot be read: ENOENT/,
  );
});
