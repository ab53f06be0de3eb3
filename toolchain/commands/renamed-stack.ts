import { firstStackName } from "../../shared/first-stack-name.ts";

export interface Deployment {
  resources?: { urn: string; type: string; outputs?: Record<string, unknown> }[];
}

/** What a stack was called when its data came to be, by its exported state; undefined where that says nothing. */
export function stackNameBefore({ resources = [] }: Deployment): string | undefined {
  return firstStackName(
    (type, name) =>
      resources.find(resource => resource.type === type && resource.urn.endsWith(`::${name}`))?.outputs,
  );
}
