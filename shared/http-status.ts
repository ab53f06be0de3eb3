import { get } from "node:http";

const ANSWER_WITHIN_MS = 5_000;

/**
 * The status code that `url` answers with; rejects when it does not answer within five seconds. Not `fetch`: under Node 20,
 * one whose connection a proxy closes before answering may neither settle nor keep the process alive.
 */
export function httpStatus(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: ANSWER_WITHIN_MS }, response => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("timeout", () =>
      request.destroy(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} seconds`)),
    );
    request.on("error", reject);
  });
}
