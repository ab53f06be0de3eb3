import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyText, bytesOfAnyText } from "../../../../agent/dump/any-text.ts";

describe("text in any encoding", () => {
  it("reads as what it says where it is UTF-8", () => {
    expect(anyText(Buffer.from("café 😀"))).toBe("café 😀");
  });

  it("keeps different bytes apart where it is not", () => {
    expect(anyText(Buffer.from("caf\xe8", "latin1"))).not.toBe(anyText(Buffer.from("caf\xe9", "latin1")));
  });

  it("gives its bytes back, also joined to other text", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string({ unit: "binary" }), (bytes, text) => {
        const given = Buffer.from(bytes);
        expect(bytesOfAnyText(anyText(given))).toEqual(given);
        expect(bytesOfAnyText(`${text}\n${anyText(given)}`)).toEqual(
          Buffer.concat([Buffer.from(`${text}\n`), given]),
        );
      }),
    );
  });
});
