import { say } from "./say.ts";

const SITE = "https://get.pulumi.com/";
const ANSWER_MS = 5_000;

let answer: Promise<boolean> | undefined;

/**
 * Whether the site that the Pulumi CLI and its plugins are downloaded from can be reached. Asked once in a run. Behind an
 * HTTP proxy, which this question does not go through, it counts as reachable; the download itself then decides.
 */
export function officialSiteAnswers(): Promise<boolean> {
  answer ??= ask();
  return answer;
}

async function ask(): Promise<boolean> {
  if (process.env.HTTPS_PROXY || process.env.https_proxy) return true;
  try {
    await fetch(SITE, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS) });
    return true;
  } catch {
    say("Pulumi's download site cannot be reached: what is missing is built from its sources instead.");
    return false;
  }
}
