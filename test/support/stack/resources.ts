import type { Registered } from "./mocks.ts";

/** The resource of that name. Throws unless there is exactly one. */
export function one(resources: readonly Registered[], name: string): Registered {
  const found = resources.filter(resource => resource.name === name);
  if (found.length !== 1 || !found[0]) {
    throw new Error(`${found.length} resources are called ${name}: ${resources.map(r => r.name).join(", ")}`);
  }
  return found[0];
}

/** The names of the resources that it depends on. */
export function dependencies({ request }: Registered): (string | undefined)[] {
  return request.getDependenciesList().map(urn => urn.split("::").at(-1));
}
