/**
 * An amount of money as `numeric(14,2)` stores it: from a string or a number, not negative, at most two decimals and below
 * 1,000,000,000,000. Gives undefined for anything else. Numbers of that size are exact in JSON; strings are what the API answers.
 */
export function parseAmount(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const text = String(value);
  return /^\d{1,12}(\.\d{1,2})?$/.test(text) ? text : undefined;
}
