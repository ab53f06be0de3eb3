import { describe, expect, it } from "vitest";
import { holdsPlaintext } from "../../../shared/kept-state.ts";

const secret = (rest: object) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  ...rest,
});

describe("a state that is kept", () => {
  it("may hold secrets that are encrypted", () => {
    expect(
      holdsPlaintext({ deployment: { resources: [{ outputs: secret({ ciphertext: "v1:abc" }) }] } }),
    ).toBe(false);
    expect(holdsPlaintext({ plaintext: "a setting of that name" })).toBe(false);
  });

  it.each([
    ["as an export with --show-secrets has it", secret({ plaintext: '"hunter2"' })],
    ["with an empty password", secret({ plaintext: '""' })],
    ["marked as a secret, with nothing encrypted", secret({ value: "hunter2" })],
  ])("holds none that everybody can read: %s", (_, found) => {
    expect(holdsPlaintext({ deployment: { resources: [{ inputs: { environment: [found] } }] } })).toBe(true);
  });
});
