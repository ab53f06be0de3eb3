import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAmount } from "../../../backend/amount.ts";

describe("amounts of money", () => {
  it.each([0, 12.5, "12.50", "0.01", 999999999999.99, "999999999999.99"])("takes %s", value => {
    expect(parseAmount(value)).toBe(String(value));
  });

  it.each([-1, "-1", 0.001, "1.234", 1e12, "1000000000000", "", " 1", "1e3", "1,50", Number.NaN, null, true])(
    "refuses %s",
    value => {
      expect(parseAmount(value)).toBeUndefined();
    },
  );

  it("takes every whole number of cents, as a number or as a string", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999_999_999_999 }), cents => {
        const text = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
        expect(parseAmount(text)).toBe(text);
        expect(Number(parseAmount(Number(text)))).toBe(Number(text));
      }),
    );
  });
});
