import type Docker from "dockerode";
import { DEFAULT_MAJOR_VERSION, MAJOR_VERSIONS, type MajorVersion } from "../../shared/database-image.ts";
import type { Stack } from "./stack-containers.ts";
import { readStackSettings } from "./stack-settings.ts";

/** Of PostgreSQL: what the stack's container runs; without one, what its settings say. */
export async function majorVersionOf({ containers, name }: Stack): Promise<MajorVersion> {
  const own = containers.find(({ role }) => role === "database");
  const runs = own && (await imageMajorVersion(own.container));
  // After a `destroy`, and where a volume is looked at whose stack is not known here.
  const says = runs ?? (await readStackSettings(name).catch(() => undefined))?.get("postgresVersion");
  return MAJOR_VERSIONS.find(known => known === says) ?? DEFAULT_MAJOR_VERSION;
}

/** The image says it in the environment of its containers. */
export async function imageMajorVersion(container: Docker.Container): Promise<string | undefined> {
  const { Env: env = [] } = (await container.inspect()).Config;
  return env.find(line => line.startsWith("PG_MAJOR="))?.slice("PG_MAJOR=".length);
}
