import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";

/**
 * Has clients go elsewhere, where others serve beside it. Until it is told to close there is nothing to see of it. From then on every
 * answer asks its client to connect anew, and nothing is refused. A connection that has nothing to say is not closed under a request that
 * is on its way: it ends by the rule that its client knows, KEEP_ALIVE_MS.
 *
 * @returns what to await before the app is closed
 */
export function drains(app: FastifyInstance, seconds: number): () => Promise<void> {
  let draining = false;
  app.addHook("onSend", async (_request, reply) => {
    if (draining) reply.header("connection", "close");
  });
  return async () => {
    draining = true;
    await sleep(seconds * 1000);
  };
}
