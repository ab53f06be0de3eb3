import type Docker from "dockerode";

/**
 * Where other containers of the engine's default network reach it, and where it reaches this machine. Each engine names that network
 * its own way.
 */
export async function placeInNetwork(
  container: Docker.Container,
): Promise<{ address: string; gateway: string }> {
  const { Name: name, NetworkSettings: settings } = await container.inspect();
  const [network] = Object.values(settings.Networks);
  if (!network?.IPAddress) throw new Error(`${name} is in no network, or does not run`);
  return { address: network.IPAddress, gateway: network.Gateway };
}
