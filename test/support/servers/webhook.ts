import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

export interface Webhook {
  port: number;
  /** The bodies that were posted, the oldest first. */
  taken: unknown[];
  stop(): Promise<void>;
}

/** Takes every JSON value that is posted to it, from containers as well. */
export async function startWebhook(): Promise<Webhook> {
  const taken: unknown[] = [];
  const server = createServer((request, response) => {
    void json(request).then(body => {
      taken.push(body);
      response.end("taken");
    });
  });
  await new Promise<void>(listening => server.listen(0, listening));
  return {
    port: (server.address() as AddressInfo).port,
    taken,
    stop: () => new Promise(stopped => server.close(() => stopped())),
  };
}
