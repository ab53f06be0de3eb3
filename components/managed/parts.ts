import { containerName } from "../../shared/names.ts";
import type { Place } from "../containers/place.ts";
import { bucketTags } from "../offsite/bucket-tags.ts";

/** What Amazon goes on having when the stack is destroyed. */
export const MANAGED_PARTS = ["data", "parameters", "subnets"] as const;
export type ManagedPart = (typeof MANAGED_PARTS)[number];

export type Stack = Pick<Place, "stack" | "namePrefix">;

/** What is known of a managed database before it is declared. */
export interface ManagedLook {
  /** What an earlier stack has left, and this one's state does not know. */
  left: readonly ManagedPart[];
  /** Whether there were no credentials to look with. Only ever in a preview: an update is refused without. */
  withoutCredentials: boolean;
}

/** Also of a stack whose database is a container of its own. */
export const NOTHING_LEFT: ManagedLook = { left: [], withoutCredentials: false };

/**
 * What Amazon calls them. DANGER: the data is in what has this name. Under another one the database begins empty. The parameters
 * are of one version.
 */
export function managedNames(
  { namePrefix }: Pick<Stack, "namePrefix">,
  version: string,
): Readonly<Record<ManagedPart, string>> {
  const data = containerName(namePrefix, "database");
  return { data, parameters: `${data}-pg${version}`, subnets: data };
}

/** By these a database is known as one stack's, also after the stack's state is gone. The bucket has the same. */
export function managedTags(stack: Stack): Record<string, string> {
  return bucketTags(stack);
}
