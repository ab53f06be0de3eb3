import { UnknownValueError } from "@pulumi/policy";

/**
 * Checks the items that are known, and only then says that one was not: Pulumi shows that in the preview, and `pulumi up`
 * checks the item before the resource is made. Throws what `check` throws.
 */
export function eachKnown<Item>(items: readonly Item[] | undefined, check: (item: Item) => void): void {
  let unknown: UnknownValueError | undefined;
  for (let index = 0; index < (items?.length ?? 0); index++) {
    try {
      // Reading an unknown item throws.
      check(items?.[index] as Item);
    } catch (error) {
      if (!(error instanceof UnknownValueError)) throw error;
      unknown ??= error;
    }
  }
  if (unknown) throw unknown;
}

/** The value, or undefined while it is not known. */
export function ifKnown<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnknownValueError) return undefined;
    throw error;
  }
}
