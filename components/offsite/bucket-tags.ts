import type { Place } from "../containers/place.ts";

/** By these a bucket is known as one stack's, also after the stack's state is gone. */
export function bucketTags({
  stack,
  namePrefix,
}: Pick<Place, "stack" | "namePrefix">): Record<string, string> {
  return { "budgie:project": "budgie", "budgie:stack": stack, "budgie:prefix": namePrefix };
}
