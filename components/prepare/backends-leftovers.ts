import type Docker from "dockerode";
import { backendService, stopBackends } from "../../engine/backend-service.ts";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { engineTraits } from "../../engine/traits.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { LABEL, labelledAs } from "../../shared/labels.ts";
import { backendsNetworkName } from "../../shared/names.ts";
import type { StackState } from "./stack-state.ts";

/**
 * REMOVES what an `up` that was killed has made for several backends and the state does not know: Pulumi would make it again, and a name
 * can be had once. None of it holds data: sessions are in the database, and the secrets are in the state. What bears another stack's label
 * stays, and so does what the engine says is in use.
 */
export async function removeUnknownBackends(
  engine: Engine,
  state: StackState,
  namePrefix: string,
): Promise<void> {
  // Another engine has none of it, and some have secrets that are nobody's service's.
  if (engine.kind !== "docker" || (await engineTraits(engine)).swarm.is !== "manager") return;
  const client = engineClient(engine.host);
  const service = await backendService(client, namePrefix);
  const knows = (type: string, name: string) => state.resource(type, name) !== undefined;
  if (!knows("docker:index/service:Service", "backend-service")) {
    if (service) {
      await stopBackends(service);
      await client.getService(service.id).remove();
    }
    await removeSecrets(client, state, namePrefix);
  }
  if (!knows("docker:index/network:Network", "backends-overlay")) await removeNetwork(client, namePrefix);
}

async function removeSecrets(client: Docker, state: StackState, namePrefix: string): Promise<void> {
  const known = ["backend-db-password", "backend-session-secret"].map(
    name => state.resource("docker:index/secret:Secret", name)?.outputs.id,
  );
  const label = [labelledAs(LABEL.prefix, namePrefix)];
  const listed = await client.listSecrets({ filters: { label } });
  for (const { ID: id } of listed.filter(secret => !known.includes(secret.ID)))
    await client
      .getSecret(id)
      .remove()
      .catch(() => undefined);
}

async function removeNetwork(client: Docker, namePrefix: string): Promise<void> {
  const network = client.getNetwork(backendsNetworkName(namePrefix));
  const made = await unlessMissing(network.inspect());
  if (made?.Labels?.[LABEL.prefix] !== namePrefix) return;
  for (const member of Object.keys(made.Containers ?? {}))
    await network.disconnect({ Container: member, Force: true }).catch(() => undefined);
  await unlessMissing(network.remove());
}
