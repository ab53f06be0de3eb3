import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { say, step } from "./say.ts";

/** How long a registry may stay silent before it counts as out of reach. */
const REGISTRY_SILENCE_MS = 10_000;

/** Whether it could be pulled. No failure of a registry is an error here: a stand-in is for those. */
export async function pull(docker: Docker, fullName: string): Promise<boolean> {
  try {
    const answer = await withDeadline(docker.pull(fullName), REGISTRY_SILENCE_MS);
    await step(`Pulling ${fullName}`, () => readToEnd(docker, answer as Readable, REGISTRY_SILENCE_MS * 6));
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    say(
      `No registry to pull ${fullName} from (${reason}): assembling the base images from packages instead.`,
    );
    return false;
  }
}

function withDeadline<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer in time")), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Reads an answer of the engine that reports progress, until it ends; an error in it, or silence, throws. */
export async function readToEnd(docker: Docker, answer: Readable, silence: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const silent = () => answer.destroy(new Error("no answer in time"));
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
