import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { withDeadline } from "../../shared/with-deadline.ts";
import { SiteFailure } from "./download.ts";
import { LONGEST_PAUSE_MS, PAUSES_MS, REGISTRY_SILENCE_MS, TRIES } from "./patience.ts";
import { registryAnswers, registryDigest } from "./registry-digest.ts";
import { say, step, ToolchainError } from "./say.ts";

export type PullFault =
  | "out of reach"
  | "refused"
  | "missing"
  | "limited"
  | "no space"
  | "spoilt"
  | "broken off"
  | "faulty";

/** In this order: what an engine says of one fault may hold the words of a later one. */
const FAULTS: [PullFault, RegExp][] = [
  ["limited", /toomanyrequests|too many requests|rate limit|HTTP 429|status: 429/i],
  ["missing", /manifest unknown|name unknown|repository does not exist|HTTP 404|status: 404|: not found/i],
  ["refused", /denied|unauthorized|no basic auth|authentication required|HTTP 40[13]|status: 40[13]/i],
  ["no space", /no space left|quota exceeded/i],
  ["spoilt", /nothing more came|verification failed|size validation/i],
  ["out of reach", /no such host|server misbehaving|name resolution|connection refused|no route to host/i],
  ["out of reach", /network is unreachable|handshake timeout|i\/o timeout|no answer in time|proxyconnect/i],
  ["out of reach", /\/v2\/"?: .*(EOF|connection reset|deadline exceeded|request canceled)/i],
  ["broken off", /EOF|connection reset|broken pipe|short read|Content-Length/i],
];

/** What an engine's words about a failed pull mean; they are all the code that it gives. */
export function pullFault(words: string): PullFault {
  return FAULTS.find(([, pattern]) => pattern.test(words))?.[0] ?? "faulty";
}

/**
 * Pulls an image. False when its registry is out of reach or refuses it: a stand-in is for those. Any other failure is one to
 * be told, because a machine with a registry gets no stand-in.
 */
export async function pull(docker: Docker, fullName: string): Promise<boolean> {
  const answers = await registryAnswers(fullName);
  for (let tried = 1; ; tried++) {
    const why = await failureOf(docker, fullName, REGISTRY_SILENCE_MS[answers ? "slow" : "outOfReach"]);
    if (why === undefined) return true;
    const fault = pullFault(why);
    const limit = fault === "limited" ? await limitOf(fullName) : undefined;
    const pause = limit?.pauseMs ?? PAUSES_MS[tried - 1] ?? 0;
    const passing =
      fault === "faulty" || fault === "spoilt" || (limit?.pauseMs ?? Number.NaN) <= LONGEST_PAUSE_MS;
    if (passing && tried < TRIES) {
      await sleep(pause);
      continue;
    }
    if (fault === "refused" || (fault === "out of reach" && !answers)) {
      say(`No registry to pull ${fullName} from (${why}): assembling the base images from packages instead.`);
      return false;
    }
    throw new ToolchainError(
      `${fullName} could not be pulled: ${limit?.message ?? why}.\n${next(fault, fullName)}`,
    );
  }
}

function next(fault: PullFault, fullName: string): string {
  const again = "run the same command again";
  switch (fault) {
    case "limited":
      return `Log in, which raises the limit (docker login), or wait for that time (six hours where none is named), and ${again}.`;
    case "missing":
      return (
        `Its registry answers and does not have it. A mirror may answer in its place ("registry-mirrors" in /etc/docker/daemon.json). ` +
        `Else bring it from a machine that has it, and ${again}:\n    docker save ${fullName} | ssh THIS_MACHINE docker load`
      );
    case "no space":
      return `Make room where the engine keeps its images (docker system df shows what takes it), and ${again}.`;
    case "out of reach":
      return (
        `The registry answers this shell, and not the engine, which pulls by itself. If HTTPS_PROXY is set here, give it to the engine too ` +
        `("proxies" in /etc/docker/daemon.json, or the environment of its service), restart it, and ${again}.`
      );
    default:
      return `Wait some minutes and ${again}; what was pulled whole is kept.`;
  }
}

/** What the registry itself says about its limit: the engine passes no time on. */
async function limitOf(fullName: string): Promise<SiteFailure | undefined> {
  const failure = await registryDigest(fullName).catch((error: unknown) => error);
  return failure instanceof SiteFailure ? failure : undefined;
}

/** Undefined when it was pulled. */
async function failureOf(docker: Docker, fullName: string, silence: number): Promise<string | undefined> {
  try {
    const answer = await withDeadline(docker.pull(fullName), silence);
    await step(`Pulling ${fullName}`, () => readToEnd(docker, answer as Readable, silence));
    return undefined;
  } catch (error) {
    const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    return line
      .replace(/^\(HTTP code \d+\) [\w ]+ - /, "")
      .trim()
      .replace(/\.$/, "");
  }
}

/** Reads an answer of the engine that reports progress, until it ends; an error in it, or silence, throws. */
export async function readToEnd(docker: Docker, answer: Readable, silence: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const silent = () => answer.destroy(new Error(`nothing more came for ${silence / 1000} s`));
    let timer = setTimeout(silent, silence);
    answer.on("error", reject);
    const progress = () => {
      clearTimeout(timer);
      timer = setTimeout(silent, silence);
    };
    docker.modem.followProgress(
      answer,
      (error, events: { error?: string }[]) => {
        clearTimeout(timer);
        const failure = error?.message ?? events.find(event => event.error)?.error;
        if (failure) reject(new Error(failure));
        else resolve();
      },
      progress,
    );
  });
}
