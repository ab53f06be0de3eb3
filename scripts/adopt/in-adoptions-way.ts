import { stopLine } from "../../engine/stop-line.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { containerName, networkName, ROLES } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import type { StackSettings } from "../stack/stack-settings.ts";
import { backendOf, type Found, type FoundContainer, isAtWork, type OldInstall } from "./old-install.ts";

/** What becomes of an old install's containers. */
export interface Partition {
  /** In the order in which they are stopped and removed; the database last. Each with why. */
  removed: { container: FoundContainer; why: string }[];
  /** Neither stopped nor removed. */
  left: FoundContainer[];
}

/**
 * Which containers must go for the stack to come up: the database and the API, whose places the stack's own take, and what holds a port,
 * a name or the network that the stack needs. Throws a Stop where such a thing is held by what is not the old install's.
 */
export function partition(
  stack: Stack,
  install: OldInstall,
  { containers }: Found,
  settings: StackSettings,
): Partition {
  const backend = backendOf(install);
  const needs = (one: FoundContainer): string | undefined => {
    if (ROLES.some(role => containerName(stack.prefix, role) === one.name))
      return "has a name that the stack needs";
    if (one.networks.includes(networkName(stack.prefix)))
      return "is in the network whose name the stack needs";
    const port =
      isAtWork(one) && neededPorts(settings).find(needed => one.ports.some(held => clash(held, needed)));
    return port ? `holds port ${port.port}, which the stack needs (budgie:${port.setting})` : undefined;
  };
  const why = (one: FoundContainer): string | undefined => {
    if (one === install.database) return "the database, which the stack's own takes over";
    if (one === backend) return "the API, which the stack's own takes over";
    if (one.mounts.some(({ volume }) => volume !== null && volume === install.volume))
      return "has the volume";
    return needs(one);
  };
  requireFreePlaces(stack, install, containers, needs);
  const order = (one: FoundContainer) => Number(one === install.database);
  const removed = install.containers.flatMap(container => {
    const reason = why(container);
    return reason === undefined ? [] : [{ container, why: reason }];
  });
  return {
    removed: removed.sort((one, other) => order(one.container) - order(other.container)),
    left: install.containers.filter(one => why(one) === undefined),
  };
}

function requireFreePlaces(
  { prefix, engine }: Stack,
  install: OldInstall,
  containers: readonly FoundContainer[],
  needs: (one: FoundContainer) => string | undefined,
): void {
  for (const one of containers) {
    if (install.containers.includes(one) || one.labels[LABEL.prefix] === prefix) continue;
    const why = needs(one);
    if (why === undefined) continue;
    throw new Stop(
      EXIT.notConfirmed,
      `The container ${one.name} does not belong to the old install, and ${why}. Nothing was changed.`,
      `Free that, or give the stack another: npm run pulumi -- config set budgie:httpPort 8080 (or budgie:statusPort, budgie:databasePort, budgie:namePrefix). To stop it: ${stopLine(engine.kind, [one.name])}. Then run the same command again.`,
    );
  }
}

interface NeededPort {
  setting: string;
  address: string;
  port: number;
}

function neededPorts(settings: StackSettings): NeededPort[] {
  const port = (setting: string) => Number(settings.get(setting) ?? 0);
  return [
    { setting: "httpPort", address: settings.get("httpAddress") ?? "", port: port("httpPort") },
    { setting: "statusPort", address: "127.0.0.1", port: port("statusPort") },
    { setting: "databasePort", address: "127.0.0.1", port: port("databasePort") },
  ].filter(needed => needed.port > 0);
}

function clash(held: { address: string; port: number }, needed: NeededPort): boolean {
  const everywhere = ["", "0.0.0.0", "::"];
  const overlaps =
    held.address === needed.address ||
    everywhere.includes(held.address) ||
    everywhere.includes(needed.address);
  return held.port === needed.port && overlaps;
}
