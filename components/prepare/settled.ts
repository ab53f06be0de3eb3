import * as pulumi from "@pulumi/pulumi";

/** Undefined for a value that a preview does not know; `apply` alone would wait for it for ever. */
export async function settled<T>(output: pulumi.Output<T>): Promise<T | undefined> {
  let value: T | undefined;
  // This waits for the callback, or for its being left out.
  await pulumi.isSecret(
    output.apply(known => {
      value = known;
    }),
  );
  return value;
}
