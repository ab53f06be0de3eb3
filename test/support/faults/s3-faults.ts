import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** What happens to a request on its way to a store. */
export type Fault =
  /** The connection is cut once this many bytes of the request's body have passed. */
  | { cutRequestAfter: number }
  /** The connection is cut once this many bytes of the answer's body have passed. */
  | { cutAnswerAfter: number }
  /** This many bytes of the answer's body pass, then nothing more, or nothing until `until` resolves. */
  | { stallAnswerAfter: number; until?: Promise<unknown> }
  /** The store does what it was asked, but its answer has other headers; null removes one. */
  | { answerHeaders: Record<string, string | null> }
  /** The request passes only after this. */
  | { waitFor: Promise<unknown> }
  /** Nothing is answered or passed on. */
  | "stall"
  /** The store does what it was asked, but its answer is lost. */
  | "lose answer"
  /** The store does what it was asked, but its answer never comes. */
  | "hold answer"
  /** This is the answer; nothing is passed on. */
  | { status: number; code: string }
  /** This page is the answer, as from a web server. */
  | { page: string };

export interface FaultyStore {
  /** To be used instead of the store's own, on this machine and in containers. */
  endpoint: string;
  /** The requests so far, e.g. `PUT /bucket/key?partNumber=1`. */
  requests: string[];
  /** Gives the next `times` matching requests a fault. Resolves when the first has met it; a held answer must be there. */
  disturb(match: RegExp, fault: Fault, times?: number): Promise<void>;
  /** Ends all faults. */
  heal(): void;
  stop(): Promise<void>;
}

interface Rule {
  match: RegExp;
  fault: Fault;
  left: number;
  met(): void;
}

/** A proxy between the agent and a store. It passes everything on until told otherwise. */
export async function startFaultyStore(store: string): Promise<FaultyStore> {
  const target = new URL(store);
  const requests: string[] = [];
  let rules: Rule[] = [];
  const server = createServer((incoming, answer) => {
    const asked = `${incoming.method} ${incoming.url}`;
    requests.push(asked);
    incoming.on("error", () => undefined);
    const rule = rules.find(({ match, left }) => left > 0 && match.test(asked));
    if (rule) rule.left--;
    if (rule && typeof rule.fault === "object" && "waitFor" in rule.fault) {
      rule.met();
      void rule.fault.waitFor.then(() => treat(target, incoming, answer));
    } else treat(target, incoming, answer, rule);
  });
  await new Promise<void>(resolve => server.listen(0, "0.0.0.0", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://${target.hostname}:${port}`,
    requests,
    disturb: (match, fault, times = Number.POSITIVE_INFINITY) =>
      new Promise(met => {
        rules.unshift({ match, fault, left: times, met });
      }),
    heal: () => {
      rules = [];
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

function treat(target: URL, incoming: IncomingMessage, answer: ServerResponse, rule?: Rule): void {
  const fault = rule?.fault;
  if (fault !== "hold answer") rule?.met();
  if (fault === "stall") return void incoming.resume();
  if (fault !== undefined && typeof fault === "object" && ("status" in fault || "page" in fault)) {
    incoming.resume();
    incoming.on("end", () => answerInstead(answer, fault));
    return;
  }
  const { hostname, port } = target;
  const { method, url, headers } = incoming;
  const onward = request({ hostname, port, method, path: url, headers }, reply => {
    if (fault === "lose answer" || fault === "hold answer") {
      reply.resume();
      reply.on("end", () => (fault === "hold answer" ? rule?.met() : incoming.socket.destroy()));
      return;
    }
    answer.writeHead(reply.statusCode ?? 500, headersOf(reply, fault));
    passOn(reply, answer, incoming, fault);
  });
  onward.on("error", () => incoming.socket.destroy());
  // Otherwise the store would keep the object locked for a request that nobody waits for.
  incoming.socket.once("close", () => onward.destroy());
  const cutAfter = typeof fault === "object" && "cutRequestAfter" in fault ? fault.cutRequestAfter : null;
  let passed = 0;
  incoming.on("data", (chunk: Buffer) => {
    passed += chunk.length;
    if (cutAfter !== null && passed >= cutAfter) return void incoming.socket.destroy();
    if (!onward.write(chunk)) {
      incoming.pause();
      onward.once("drain", () => incoming.resume());
    }
  });
  incoming.on("end", () => onward.end());
}

function headersOf(reply: IncomingMessage, fault?: Fault): OutgoingHttpHeaders {
  const changed = typeof fault === "object" && "answerHeaders" in fault ? fault.answerHeaders : {};
  const headers = Object.entries({ ...reply.headers, ...changed });
  return Object.fromEntries(
    headers.filter(([, value]) => value !== null && value !== undefined),
  ) as OutgoingHttpHeaders;
}

function passOn(
  reply: IncomingMessage,
  answer: ServerResponse,
  incoming: IncomingMessage,
  fault?: Fault,
): void {
  const cut = typeof fault === "object" && "cutAnswerAfter" in fault ? fault.cutAnswerAfter : null;
  const stall = typeof fault === "object" && "stallAnswerAfter" in fault ? fault : null;
  if (cut === null && stall === null) return void reply.pipe(answer);
  const limit = cut ?? stall?.stallAnswerAfter ?? 0;
  let passed = 0;
  reply.on("data", (chunk: Buffer) => {
    const last = chunk.subarray(0, Math.max(0, limit - passed));
    passed += chunk.length;
    // What was written so far must arrive: the client must see a body that breaks off, not one that never began.
    if (passed < limit) return void answer.write(last);
    reply.pause();
    answer.write(last, () => {
      if (cut !== null) incoming.socket.destroy();
    });
    void stall?.until?.then(() => {
      answer.write(chunk.subarray(last.length));
      reply.removeAllListeners("data");
      reply.pipe(answer);
    });
  });
  reply.on("end", () => answer.end());
}

function answerInstead(
  answer: ServerResponse,
  fault: { status: number; code: string } | { page: string },
): void {
  if ("page" in fault) {
    answer.writeHead(200, { "content-type": "text/html" }).end(fault.page);
    return;
  }
  answer
    .writeHead(fault.status, { "content-type": "application/xml" })
    .end(
      `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>As the test asked.</Message></Error>`,
    );
}
