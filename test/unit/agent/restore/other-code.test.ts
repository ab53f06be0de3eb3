import { describe, expect, it } from "vitest";
import { otherCode } from "../../../../agent/restore/other-code.ts";

const image = (digit: string) => ({
  name: `budgie-backend:${digit}`,
  digest: `sha256:${digit.repeat(64)}`,
});

describe("a restore, of a backup that was taken with other code than what runs now,", () => {
  it("names the backend of then and of now, and what to do where it does not fit", () => {
    const [line, ...more] = otherCode({ backendImage: image("a") }, { backendImage: image("b") });
    expect(more).toEqual([]);
    expect(line).toContain("the backend ran budgie-backend:a (aaaaaaaaaaaa)");
    expect(line).toContain("it runs budgie-backend:b (bbbbbbbbbbbb) now");
    expect(line).toContain("git checkout");
  });

  it("names both versions of the stack", () => {
    expect(otherCode({ stackVersion: "0.1.0" }, { stackVersion: "0.2.0" })).toEqual([
      "It was taken by version 0.1.0 of the stack; this is version 0.2.0",
    ]);
  });

  it.each([
    [
      "the same",
      { backendImage: image("a"), stackVersion: "1" },
      { backendImage: image("a"), stackVersion: "1" },
    ],
    ["of an older stack, whose manifests do not say", {}, { backendImage: image("a"), stackVersion: "1" }],
    [
      "not known of what runs now",
      { backendImage: image("a"), stackVersion: "1" },
      { backendImage: null, stackVersion: null },
    ],
    [
      "the same content under another name",
      { backendImage: image("a") },
      { backendImage: { ...image("a"), name: "another" } },
    ],
  ])("says nothing where it is %s", (_, then, now) => {
    expect(otherCode(then, now)).toEqual([]);
  });
});
