import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { scramVerifier } from "../../../shared/scram.ts";

/** The exchange printed in RFC 7677: user "user", password "pencil". */
const RFC = {
  salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
  authMessage:
    "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  clientProof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverSignature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

describe("a SCRAM-SHA-256 verifier", () => {
  const verifier = scramVerifier("pencil", Buffer.from(RFC.salt, "base64"));
  const [, parameters = "", keys = ""] = verifier.split("$");
  const [storedKey = "", serverKey = ""] = keys.split(":").map(key => Buffer.from(key, "base64"));

  it("has PostgreSQL's form", () => {
    expect(verifier).toMatch(/^SCRAM-SHA-256\$4096:[\w+/]{22}==\$[\w+/]{43}=:[\w+/]{43}=$/);
    expect(parameters).toBe(`4096:${RFC.salt}`);
  });

  it("makes the server's signature of RFC 7677", () => {
    const signature = createHmac("sha256", serverKey).update(RFC.authMessage).digest("base64");
    expect(signature).toBe(RFC.serverSignature);
  });

  it("accepts the client's proof of RFC 7677", () => {
    const signature = createHmac("sha256", storedKey).update(RFC.authMessage).digest();
    const proof = Buffer.from(RFC.clientProof, "base64");
    const clientKey = proof.map((byte, index) => byte ^ (signature[index] ?? 0));
    expect(createHash("sha256").update(clientKey).digest()).toEqual(storedKey);
  });

  it("has a new salt each time, and never the password in it", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."canry!:\\'\"$ 19"), minLength: 8 }), password => {
        const one = scramVerifier(password);
        expect(one).not.toBe(scramVerifier(password));
        expect(one).not.toContain(password);
        expect(one).not.toMatch(/['\\]/);
      }),
      { numRuns: 20 },
    );
  });

  it("is refused for characters that PostgreSQL would prepare first", () => {
    expect(() => scramVerifier("pässword")).toThrow("the password has characters outside ASCII");
  });
});
