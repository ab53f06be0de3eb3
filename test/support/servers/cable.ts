import { execa } from "execa";

/** The network of a test's own machine, and the cable between that machine and this one. */
export interface Cable {
  /** Of the machine's network namespace, and of the cable's end here. At most 15 letters. */
  name: string;
  /** This machine's address on the cable, and the other's. */
  here: string;
  there: string;
}

/** Makes the network anew, with the cable plugged in, whatever was left of it. */
export async function layCable(cable: Cable): Promise<void> {
  const { name, here, there } = cable;
  await removeCable(cable);
  await ip("netns", "add", name);
  await ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name);
  await ip("addr", "add", `${here}/24`, "dev", name);
  await plugIn(cable);
  const inside = (...args: string[]) => ip("-n", name, ...args);
  await inside("addr", "add", `${there}/24`, "dev", "eth0");
  await inside("link", "set", "eth0", "up");
  await inside("link", "set", "lo", "up");
  await inside("route", "add", "default", "via", here);
}

export async function removeCable({ name }: Cable): Promise<void> {
  await ip("link", "del", name).catch(() => undefined);
  await ip("netns", "del", name).catch(() => undefined);
}

export function plugIn({ name }: Cable): Promise<void> {
  return ip("link", "set", name, "up");
}

export function unplug({ name }: Cable): Promise<void> {
  return ip("link", "set", name, "down");
}

async function ip(...args: string[]): Promise<void> {
  await execa("ip", args);
}
