import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RowSetDigest } from "../../../../agent/load/row-set-digest.ts";

const digest = (rows: readonly string[], size = 1 << 20) => {
  const found = new RowSetDigest();
  const bytes = Buffer.from(rows.map(row => `${row}\n`).join(""));
  for (let at = 0; at < bytes.length; at += size) found.update(bytes.subarray(at, at + size));
  return found.digest();
};
const rows = fc.array(
  fc.string({ maxLength: 6 }).map(row => row.replaceAll("\n", " ")),
  { maxLength: 12 },
);

describe("the digest of a table's rows without their order", () => {
  it("is the same in any order and any parts", () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 7 }), (some, size) => {
        expect(digest([...some].reverse(), size)).toBe(digest(some));
      }),
    );
  });

  it("is another one for other rows, and for rows that come more often", () => {
    fc.assert(
      fc.property(rows, rows, (some, others) => {
        const same = JSON.stringify([...some].sort()) === JSON.stringify([...others].sort());
        expect(digest(some) === digest(others)).toBe(same);
      }),
    );
    expect(digest(["a", "a"])).not.toBe(digest(["a"]));
    expect(digest(["ab", ""])).not.toBe(digest(["a", "b"]));
  });
});
