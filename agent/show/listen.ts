import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIP } from "node:net";
import type { Board } from "./board.ts";
import { health } from "./health-answer.ts";
import { METRICS_TYPE, metricsText } from "./metrics.ts";
import { pageHtml } from "./page.tsx";
import type { PlotFiles } from "./plot-files.ts";
import { STYLE } from "./style.ts";

interface Answer {
  status: number;
  type: string;
  body: string | Buffer;
  headers?: Record<string, string>;
}

type Route = (query: URLSearchParams) => Answer | Promise<Answer>;

const ALWAYS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

/**
 * Shows the board over HTTP on `port`. It only reads, and asks nobody: an answer costs a few milliseconds of this process and
 * nothing else.
 */
export async function listen(port: number, board: Board, plots: PlotFiles | null): Promise<Server> {
  const routes = routesOf(board, plots);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
    void answer(request, routes).then(
      found => send(request, response, found),
      () => send(request, response, plain(500, "The agent could not say. See: npx budgie logs backup")),
    );
  });
  server.maxConnections = 64;
  server.listen(port);
  await once(server, "listening");
  // It shows what others do, and must not keep them from ending.
  server.unref();
  return server;
}

function routesOf(board: Board, plots: PlotFiles | null): Record<string, Route> {
  const style = `${STYLE}${plots?.style ?? ""}`;
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
    "script-src 'self'",
    "img-src data:",
    ...["base-uri", "form-action", "frame-ancestors"].map(directive => `${directive} 'none'`),
  ].join("; ");
  return {
    "/": query => ({
      status: 200,
      type: "text/html; charset=utf-8",
      body: pageHtml(board, {
        page: Number(query.get("page")) || 1,
        style,
        plots: plots !== null,
        now: new Date(),
      }),
      headers: { "content-security-policy": policy },
    }),
    ...(plots === null
      ? {}
      : {
          "/plots.js": () => ({ status: 200, type: "text/javascript; charset=utf-8", body: plots.script }),
        }),
    "/healthz": () => {
      const { status, body } = health(board, new Date());
      return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(body)}\n` };
    },
    "/metrics": async () => ({ status: 200, type: METRICS_TYPE, body: await metricsText(board) }),
  };
}

async function answer(request: IncomingMessage, routes: Record<string, Route>): Promise<Answer> {
  if (!isOwnHost(request.headers.host))
    return plain(421, "This address is not known here. Type http://localhost and the port.");
  if (request.method !== "GET" && request.method !== "HEAD") {
    return {
      ...plain(405, "This only shows; commands change: npx budgie --help"),
      headers: { allow: "GET, HEAD" },
    };
  }
  const [path = "/", query = ""] = (request.url ?? "/").split("?");
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  return route
    ? route(new URLSearchParams(query))
    : plain(404, `There is nothing here. What there is: ${Object.keys(routes).join(" ")}`);
}

/**
 * A page from elsewhere could have its own name lead to this machine, and then read what is shown here as if it were its own.
 * Nobody can do that with an address in digits, with localhost, or with a name without a dot, which is another container's.
 */
export function isOwnHost(host: string | undefined): boolean {
  const address = `http://${host ?? ""}`;
  if (!host || /[/?#@\\]/.test(host) || !URL.canParse(address)) return false;
  const name = new URL(address).hostname.replace(/^\[|\]$/g, "");
  return isIP(name) !== 0 || !name.includes(".") || name.endsWith(".localhost");
}

function plain(status: number, text: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${text}\n` };
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, headers }: Answer,
): void {
  response.writeHead(status, {
    ...ALWAYS,
    ...headers,
    "content-type": type,
    "content-length": Buffer.byteLength(body),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
