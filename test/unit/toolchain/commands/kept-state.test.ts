import { createCipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { upCall } from "../../../../toolchain/commands/keep-state.ts";
import { passphraseFits } from "../../../../toolchain/commands/passphrase-fits.ts";

describe("a call of Pulumi, after which the state is kept,", () => {
  it.each([
    [["up"], { stack: undefined, configFile: undefined }],
    [["up", "--yes", "--stack", "prod"], { stack: "prod", configFile: undefined }],
    [["-s", "prod", "up"], { stack: "prod", configFile: undefined }],
    [["update", "--config-file=a.yaml"], { stack: undefined, configFile: "a.yaml" }],
    [["up", "--diff", "-c", "budgie:httpPort=80"], { stack: undefined, configFile: undefined }],
  ])("brings a stack up: %j", (args, called) => {
    expect(upCall(args)).toEqual(called);
  });

  it.each([
    [["preview"]],
    [["destroy", "--yes"]],
    [["stack", "export"]],
    [[]],
    [["config", "set", "budgie:x", "up"]],
  ])("is not: %j", args => {
    expect(upCall(args)).toBeNull();
  });
});

describe("a passphrase", () => {
  /** As Pulumi writes it into a state. */
  const saltOf = (passphrase: string) => {
    const [salt, nonce] = [randomBytes(8), randomBytes(12)];
    const cipher = createCipheriv(
      "aes-256-gcm",
      pbkdf2Sync(passphrase, salt, 1_000_000, 32, "sha256"),
      nonce,
    );
    const sealed = Buffer.concat([cipher.update("pulumi"), cipher.final(), cipher.getAuthTag()]);
    return ["v1", salt.toString("base64"), "v1", nonce.toString("base64"), sealed.toString("base64")].join(
      ":",
    );
  };

  it("is known to open a state, or not to, before anything is written", () => {
    const salt = saltOf("of this stack");
    expect(passphraseFits("of this stack", salt)).toBe(true);
    expect(passphraseFits("of another one", salt)).toBe(false);
    expect(passphraseFits("", salt)).toBe(false);
  });

  it("is left to Pulumi where the salt is of a kind that is not known here", () => {
    expect(passphraseFits("of this stack", "v2:abc")).toBeNull();
  });
});
