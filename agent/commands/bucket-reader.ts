import type { ObjectStore } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { ReaderOptions } from "./options.ts";

/** The store as the credentials see it that the command was given. They are removed from where they were kept before anything else. */
export async function readerFor(
  settings: AgentSettings,
  { reader: path, identity }: ReaderOptions,
  bucket?: string,
): Promise<ObjectStore> {
  const { takeIdentities } = await import("../encryption/age-identity.ts");
  const { noReader, openReader, takeReader } = await import("../store/bucket-credentials.ts");
  const identities = await takeIdentities(identity);
  if (path === undefined) throw noReader("The agent itself may not read the bucket");
  return openReader(settings, await takeReader(path), identities, bucket);
}
