import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo, Server } from "node:net";

/** How a stand-in of a download site answers once. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** All of it, announced. */
export function whole(content: Buffer | string): Answer {
  return response => {
    const body = Buffer.from(content);
    response.writeHead(200, { "content-length": body.length }).end(body);
  };
}

/** Announces all of it, and cuts the connection half-way. */
export function half(content: Buffer): Answer {
  return response => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, content.length / 2), () => response.destroy());
  };
}

/** Announces nothing, and cuts the connection half-way. */
export function halfOfUnknown(content: Buffer): Answer {
  return response => {
    response.writeHead(200);
    response.write(content.subarray(0, content.length / 2), () => response.destroy());
  };
}

/** Sends half of it, and then nothing more. */
export function standsStill(content: Buffer): Answer {
  return response => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, content.length / 2));
  };
}

/** All of it, a piece every so many milliseconds. */
export function slowly(content: Buffer, pieces: number, everyMs: number): Answer {
  return response => {
    response.writeHead(200, { "content-length": content.length });
    const size = Math.ceil(content.length / pieces);
    const send = (at: number) => {
      if (at >= content.length) return response.end();
      response.write(content.subarray(at, at + size));
      setTimeout(send, everyMs, at + size);
    };
    send(0);
  };
}

export function status(code: number, headers: Record<string, string> = {}): Answer {
  return response => response.writeHead(code, headers).end("<html>not the file</html>");
}

/** No answer at all: the connection is cut. */
export const hangsUp: Answer = response => response.destroy();

export interface ScriptedSite {
  origin: string;
  /** How often it was asked. */
  readonly asked: number;
  stop(): Promise<void>;
}

/** Gives these answers, one after the other; the last one for ever. */
export async function scriptedSite(...answers: [Answer, ...Answer[]]): Promise<ScriptedSite> {
  let asked = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(asked++, answers.length - 1)] as Answer;
    answer(response, request);
  });
  const port = await listen(server);
  return {
    origin: `http://127.0.0.1:${port}`,
    get asked() {
      return asked;
    },
    stop: () => stop(server),
  };
}

export async function listen(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

export async function stop(server: Server & { closeAllConnections?: () => void }): Promise<void> {
  server.closeAllConnections?.();
  await new Promise(resolve => server.close(resolve));
}

export function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Answers by the whole address without its scheme, as `get.pulumi.com/a/b`; 404 for every other. */
export function byAddress(answers: Record<string, Answer>): RequestListener {
  return (request, response) => {
    const answer = answers[`${request.headers.host}${request.url}`] ?? status(404);
    answer(response, request);
  };
}
