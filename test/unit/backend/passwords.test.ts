import { describe, expect, it } from "vitest";
import { hashPassword, UNKNOWN_USER_HASH, verifyPassword } from "../../../backend/passwords.ts";

describe("stored passwords", () => {
  it("open with the same password only, and look different each time", async () => {
    const [one, two] = await Promise.all([hashPassword("correct horse"), hashPassword("correct horse")]);
    expect(one).not.toBe(two);
    expect(one).not.toContain("correct");
    expect(await verifyPassword("correct horse", one)).toBe(true);
    expect(await verifyPassword("Correct horse", one)).toBe(false);
  });

  it("open with the same letters composed differently", async () => {
    expect(await verifyPassword("caf\u0065\u0301 99", await hashPassword("caf\u00e9 99"))).toBe(true);
  });

  it("do not open when they cannot be read, or belong to nobody", async () => {
    expect(await verifyPassword("", "")).toBe(false);
    expect(await verifyPassword("x", "bcrypt$1$2$3$4$5")).toBe(false);
    expect(await verifyPassword("x", UNKNOWN_USER_HASH)).toBe(false);
  });
});
