import { engineClient, inTime, whyNoAnswer } from "./client.ts";
import type { Engine } from "./find-engine.ts";

/**
 * What an engine says about itself. It is asked only where that matters, because this takes longer than any other answer.
 */
export interface EngineTraits {
  /** Of this one engine, whatever address leads to it. */
  identity: string;
  /** Whether an ordinary user runs it, with that user's rights. */
  rootless: boolean;
  /** Inputs of containers that it takes and does not carry out, because the kernel does not let it. */
  dropped: DroppedInput[];
  /** Its node in a Docker swarm. */
  swarm: SwarmNode;
}

export interface SwarmNode {
  /** `worker`: another machine decides what runs. `none`: it is in no swarm, or its swarm has lost its managers. */
  is: "manager" | "worker" | "none";
  id: string;
}

export type DroppedInput = "memory" | "memorySwap";

interface Info {
  ID?: string;
  Name?: string;
  DockerRootDir?: string;
  /** Podman's. */
  Rootless?: boolean;
  /** Docker has it in here. */
  SecurityOptions?: string[] | null;
  MemoryLimit?: boolean;
  SwapLimit?: boolean;
  CgroupVersion?: string;
  Swarm?: { NodeID?: string; LocalNodeState?: string; ControlAvailable?: boolean };
}

const asked = new WeakMap<Engine, Promise<EngineTraits>>();

/** Asks once. Throws when an engine that answers does not say who it is. */
export function engineTraits(engine: Engine): Promise<EngineTraits> {
  const traits = asked.get(engine) ?? askTraits(engine);
  asked.set(engine, traits);
  return traits;
}

async function askTraits({ host, kind }: Engine): Promise<EngineTraits> {
  const nameless = (why: string) =>
    new Error(`The container engine at ${host} does not say which one it is${why}.`);
  const info: Info = await inTime(engineClient(host).info()).catch(error => {
    throw nameless(` (${whyNoAnswer(error)})`);
  });
  // Docker keeps an id of its own. Podman makes up a new one at each call; but its images and volumes lie in one folder
  // of one machine, and root and each user have a different one.
  const folder = info.Name && info.DockerRootDir && `${info.Name}:${info.DockerRootDir}`;
  const identity = kind === "podman" ? folder : info.ID;
  if (!identity) throw nameless("");
  const rootless = info.Rootless || info.SecurityOptions?.includes("name=rootless") || false;
  return { identity, rootless, dropped: droppedInputs(info, rootless), swarm: swarmNode(info) };
}

function swarmNode({ Swarm: swarm = {} }: Info): SwarmNode {
  const is = swarm.LocalNodeState !== "active" ? "none" : swarm.ControlAvailable ? "manager" : "worker";
  return { is, id: swarm.NodeID ?? "" };
}

/** Many small machines start without the kernel's accounting of memory, or of what is swapped out. */
function droppedInputs(info: Info, rootless: boolean): DroppedInput[] {
  const powerless = rootless && info.CgroupVersion === "1";
  if (powerless || info.MemoryLimit === false) return ["memory", "memorySwap"];
  return info.SwapLimit === false ? ["memorySwap"] : [];
}
